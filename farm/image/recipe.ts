import type {Release} from '../layout.ts';

/** What an image is made of; two equal recipes give interchangeable images. */
export interface Recipe {
  release: Release;
  packages: readonly string[];
  /** Shell lines run in the finished tree ($1 = its root), before it is sealed. */
  hooks: readonly string[];
}

const MAIL_PACKAGES = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'iproute2',
  'nftables',
  'procps',
  'postfix',
  'postfix-sqlite',
  'dovecot-core',
  'dovecot-imapd',
  'dovecot-lmtpd',
  'dovecot-sqlite',
  'dovecot-sieve',
  'dovecot-managesieved',
  'ca-certificates',
  'libsqlite3-0',
] as const;

/** Timers and consoles that only cost time at boot in a machine of this size. */
const NEEDLESS_UNITS = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'man-db.timer',
  'console-getty.service',
  'getty@.service',
  'systemd-pstore.service',
  'systemd-networkd-wait-online.service',
  'systemd-firstboot.service',
];

/** The recipe of a release's image. nats-server is in the older one only, where the control host runs; it is not started by itself. */
export function recipe(release: Release): Recipe {
  return {
    release,
    packages: release === 'bookworm' ? [...MAIL_PACKAGES, 'nats-server'] : MAIL_PACKAGES,
    hooks: [
      'chroot "$1" groupadd -g 5000 vmail',
      'chroot "$1" useradd -u 5000 -g 5000 -d /var/vmail -M -s /usr/sbin/nologin vmail',
      'install -d -o 5000 -g 5000 -m 0770 "$1/var/vmail"',
      'chroot "$1" systemctl enable systemd-networkd.service',
      'chroot "$1" systemctl disable postfix.service dovecot.service',
      ...(release === 'bookworm' ? ['chroot "$1" systemctl disable nats-server.service'] : []),
      `for unit in ${NEEDLESS_UNITS.join(' ')}; do ln -sfn /dev/null "$1/etc/systemd/system/$unit"; done`,
      ': > "$1/etc/machine-id"',
      'rm -rf "$1/var/cache/apt" "$1/var/lib/apt/lists" "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/locale"',
      'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
    ],
  };
}

/** The command that builds it into `directory`. */
export function buildCommand(of: Recipe, directory: string): string[] {
  return [
    'mmdebstrap',
    '--variant=minbase',
    '--mode=root',
    `--include=${of.packages.join(',')}`,
    '--aptopt=APT::Install-Recommends "false"',
    ...of.hooks.map(hook => `--customize-hook=${hook}`),
    of.release,
    directory,
  ];
}
