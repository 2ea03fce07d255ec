#!/bin/sh
# Finds what the tests need and pip cannot bring, installs Debian's where that is allowed, or says
# how. Without Chromium there is no test of the pages; tests of sshd and Redis skip by name.
set -u

has() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null 2>&1; }

missing=""
browser=""
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  has "$name" && browser="$name"
done
[ -n "$browser" ] || missing="chromium fonts-noto-color-emoji"
has sshd && has ssh-keygen || missing="$missing openssh-server openssh-client"
has redis-server || missing="$missing redis-server"
[ -n "$missing" ] || exit 0

give_up() {
  echo "The tests need more than is installed here. On Debian or Ubuntu:
    sudo apt-get install $missing" >&2
  [ -n "$browser" ]
  exit
}

has apt-get || give_up
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || give_up
  as_root="sudo -n"
fi
echo "Installing Debian's $missing for the tests"
$as_root apt-get update -q >/dev/null &&
  $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -q --no-install-recommends $missing >/dev/null || give_up
