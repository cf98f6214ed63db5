/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that images and peers chose, on their way to a terminal. */
#pragma once

/* What could steer a terminal or break the line becomes '?': control characters, those of
 * ISO 6429's upper half (U+0080 to U+009F) too, separators of lines, what turns the direction of
 * a text, and what is not well-formed UTF-8. */
void sl_terminal_text_clean(char *text);
