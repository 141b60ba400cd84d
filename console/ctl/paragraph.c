#include "console/ctl/paragraph.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LINE_COLUMNS 80

/* Columns of UTF-8 text without wide characters. */
static unsigned
columns(const char *s, size_t bytes)
{
	unsigned n = 0;
	for (size_t i = 0; i < bytes; i++)
		n += (s[i] & 0xc0) != 0x80;
	return n;
}

void
paragraph_print(const char *first, unsigned indent, const char *text)
{
	unsigned column = columns(first, strlen(first));
	bool begun = false;
	fputs(first, stdout);
	while (*text) {
		size_t bytes = strcspn(text, " ");
		unsigned wide = columns(text, bytes);
		if (begun && column + 1 + wide > LINE_COLUMNS) {
			printf("\n%*s", (int)indent, "");
			column = indent;
			begun = false;
		}
		printf("%s%.*s", begun ? " " : "", (int)bytes, text);
		column += wide + begun;
		begun = true;
		text += bytes + (text[bytes] == ' ');
	}
	putchar('\n');
}
