/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdio.h>

const char *cli_format_size(uint64_t bytes, char out[16])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 999.5 && u + 1 < sizeof(units) / sizeof(units[0])) {
        v /= 1000;
        u++;
    }
    (void)snprintf(out, 16, u && v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return out;
}

int cli_print_json(struct sl_json_writer *w, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_json_end(w, &text, err);
    if (r < 0)
        return r;
    if (fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
        return sl_error_system(err, errno, "standard output");
    return 0;
}
