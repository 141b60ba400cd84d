/*
 * completion — what a shell offers while a command line is typed, printed from the command table (sallyport help
 * completion bash|zsh|fish). Invariant: a shell never runs the appliance to complete: all it needs is in its file.
 */
#ifndef CONSOLE_CTL_COMPLETION_H
#define CONSOLE_CTL_COMPLETION_H

/* The file for this shell on stdout; -1: no such shell. */
int completion_print(const char *shell);

#endif
