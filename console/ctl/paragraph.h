/*
 * paragraph — text for people in lines of 80 columns.
 */
#ifndef CONSOLE_CTL_PARAGRAPH_H
#define CONSOLE_CTL_PARAGRAPH_H

/*
 * paragraph_print(first, indent, text)
 *   first    as it is; text begins right behind it
 *   indent   spaces before each further line
 *   text     words with single spaces; one that is longer than a line stands on a line of its own
 */
void paragraph_print(const char *first, unsigned indent, const char *text);

#endif
