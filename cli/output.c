/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdio.h>
#include <string.h>

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

/* What the writer leaves as it is and a terminal obeys: DEL and U+0080 to U+009F, which are
 * c2 80 to c2 9f. Outside of strings JSON has neither. */
static void put_harmless(struct sl_span json)
{
    for (size_t i = 0; i < json.len; i++) {
        const uint8_t *p = json.data + i;
        bool is_c1 = p[0] == 0xc2 && i + 1 < json.len && p[1] <= 0x9f;
        i += is_c1;
        if (is_c1 || p[0] == 0x7f)
            printf("\\u%04x", is_c1 ? p[1] : p[0]);
        else
            putchar(p[0]);
    }
}

int cli_print_json_text(struct sl_span json, struct sl_error *err)
{
    put_harmless(json);
    if (ferror(stdout) || fflush(stdout) != 0)
        return sl_error_system(err, errno, "standard output");
    return 0;
}

int cli_print_json(struct sl_json_writer *w, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_json_end(w, &text, err);
    return r < 0 ? r : cli_print_json_text(sl_bytes_span(&text), err);
}

const char *cli_digest_hex(const char *digest)
{
    const char *colon = strchr(digest, ':');
    return colon ? colon + 1 : digest;
}

int cli_open_store(const struct cli_options *o, struct sluice **ret, struct sl_error *err)
{
    struct sluice_error why = {0};
    const struct sluice_options options =
        SLUICE_OPTIONS(sluice_options, .parts = SLUICE_STORE_ONLY, .root = o->root);
    return sl_error_from_api(sluice_open(&options, ret, &why), &why, err);
}
