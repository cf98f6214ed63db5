/* SPDX-License-Identifier: Apache-2.0 */
/* sluice.h alone, in strict C99. */
#include "sluice.h"

struct sluice_pull_options api_header_options(const char *image);
struct sluice_pull_options api_header_options(const char *image)
{
    return SLUICE_OPTIONS(sluice_pull_options, .image = image);
}
