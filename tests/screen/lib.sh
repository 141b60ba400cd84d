# Picture tests of the console: a real terminal (tmux), keys sent to it, what is on it read back.
. "$(dirname "$0")/../scene/lib.sh"
tm="tmux -L sp-screen-$$-0 -f /dev/null"
opened=0
screen_open() { # screen_open COLUMNS ROWS [flags…]
	local columns=$1 rows=$2
	shift 2
	# a server of its own each time: the one before may still be going
	$tm kill-server 2>/dev/null
	opened=$((opened + 1))
	tm="tmux -L sp-screen-$$-$opened -f /dev/null"
	$tm new-session -d -x "$columns" -y "$rows" "TERM=${SCREEN_TERM:-screen-256color} LC_ALL=${SCREEN_LOCALE:-C.UTF-8} sallyport-console --dir $dir $* 2>$work/console.err; echo left with \$?; sleep 1000"
}
screen_text() { $tm capture-pane -p; }
screen_keys() { $tm send-keys "$@"; sleep 0.05; }
screen_size() { $tm resize-window -x "$1" -y "$2"; }
screen_has() { screen_text | grep -qF -- "$1"; }
shows() { # shows TEXT: within 4 s
	wait_until 40 screen_has "$1" || { echo "     the screen never showed: $1"; screen_text | sed 's/^/     |/'; return 1; }
}
screen_close() { $tm kill-server 2>/dev/null; }
