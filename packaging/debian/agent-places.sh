#!/bin/sh
# What the agent, which is not root, must own or belong to. Run as root by each of its starts, since Postfix and Dovecot may have been installed
# after it, and since an agent of an older release was root.
set -e
user=mailherd-agent
routes=/var/lib/mailherd/routes

# Postfix and Dovecot both read the route table; without them (a host that carries no mail) there is none.
if getent passwd postfix >/dev/null && getent group dovecot >/dev/null; then
  # As a member it may write into the directory of the table, which Dovecot has by its group and Postfix as its owner.
  case " $(id -nG $user) " in *" dovecot "*) ;; *) usermod --append --groups dovecot $user ;; esac
  install -d -o postfix -g dovecot -m 2770 $routes
  # An older agent gave them to Postfix. As that one and not as root: whoever may write there may have put a link in their place.
  for file in $routes/routes.db $routes/routes.db-wal $routes/routes.db-shm; do
    if [ "$(stat -c %U $file 2>/dev/null)" = postfix ]; then runuser -u postfix -- chmod 0666 $file; fi
  done
fi
