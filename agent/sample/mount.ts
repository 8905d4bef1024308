/** What is against good sense among the options of a mail server's file system, with why. */
const FAULTS: readonly {fault: string; is: (options: ReadonlySet<string>) => boolean}[] = [
  // Postfix and Dovecot cannot work.
  {fault: 'readOnly', is: options => options.has('ro')},
  // Mail that was acknowledged is lost with the power. ext4 and, until Linux 4.19, XFS.
  {fault: 'noBarrier', is: options => options.has('nobarrier') || options.has('barrier=0')},
  // After a crash files can hold what was there before them.
  {fault: 'dataWriteback', is: options => options.has('data=writeback')},
  // Everything is written twice.
  {fault: 'dataJournal', is: options => options.has('data=journal')},
  // Each write waits, not only those that Postfix and Dovecot make wait.
  {fault: 'sync', is: options => options.has('sync')},
  // Each read, or the first after a write, writes too; neither Postfix (since 2.9) nor Dovecot needs the time.
  {fault: 'atime', is: options => !options.has('noatime') && !options.has('relatime')},
  {fault: 'relatime', is: options => options.has('relatime') && !options.has('noatime')},
];

/**
 * Faults of a mount by its options, as /proc/self/mountinfo shows them (both lists): an option that is the default is not shown.
 * No options: nothing is known, nothing is said.
 */
export function mountFaults(options: readonly string[]): string[] {
  if (options.length === 0) return [];
  const set = new Set(options);
  return FAULTS.filter(({is}) => is(set)).map(({fault}) => fault);
}
