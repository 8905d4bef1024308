#!/bin/sh
exec /usr/lib/mailherd/bin/node /usr/lib/mailherd/cli/main.io.js "$@"
