/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration text. Who controls it: the operator, or in a guest the host, which can hand over
 * a configuration file. Whatever comes out must be what JSON could have said. */
#include "json_text.h"
#include "sluice/core/yaml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok)
        abort();
}

/* UTF-8, as any text of JSON. Line ends and escapes are none of its business here. */
static void check_text(const char *text)
{
    for (const char *p = text; *p; p++) {
        size_t run = strcspn(p, "\\");
        bool has_controls = false;
        for (size_t i = 0; i < run; i++)
            has_controls |= (unsigned char)p[i] < ' ';
        struct sl_span span = {(const uint8_t *)p, run};
        need(has_controls || strncmp(p, "\xef\xbb\xbf", 3) == 0 || sl_json_text_check(span) == run);
        p += run;
        if (!*p)
            return;
    }
}

static void check_node(const struct sl_json *node)
{
    int64_t number;
    if (sl_json_type(node) == SL_JSON_NUMBER)
        need(sl_json_int64(node, &number));
    if (sl_json_string(node))
        check_text(sl_json_string(node));
    for (size_t i = 0; i < sl_json_count(node); i++) {
        const char *name = sl_json_name_at(node, i);
        need((name != NULL) == (sl_json_type(node) == SL_JSON_OBJECT));
        if (name)
            need(sl_json_get(node, name) == sl_json_at(node, i));
        check_node(sl_json_at(node, i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    struct sl_error err = {0};
    int r = sl_yaml_parse((struct sl_span){data, size}, "fuzz", NULL, &doc, &err);
    need((r == 0) == (doc != NULL));
    need((r == 0) == (err.code == SL_OK));
    check_node(sl_json_root(doc));
    return 0;
}
