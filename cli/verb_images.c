/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void print_row(const struct sluice_image *image)
{
    char size[16], when[32] = "";
    struct tm tm;
    time_t pulled = (time_t)image->pulled;
    if (gmtime_r(&pulled, &tm))
        (void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
    printf("%-50s %.12s %6zu %9s %-9s %s\n", image->name ? image->name : "<none>",
           cli_digest_hex(image->manifest), image->n_layers, cli_format_size(image->bytes, size),
           image->encrypted ? "encrypted" : "plain", when);
}

/* Why the image was allowed in, as the pull has recorded it. */
static void put_verdict(struct sl_json_writer *w, const struct sluice_image *image)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    if (image->verdict && sl_json_parse(sl_span_of(image->verdict), "verdict",
                                        /* limits= */ NULL, &doc, /* err= */ NULL) == 0)
        sl_json_put_node(w, "verdict", sl_json_root(doc));
}

static void put_image(struct sl_json_writer *w, const struct sluice_image *image)
{
    sl_json_open_object(w, NULL);
    if (image->name)
        sl_json_put_string(w, "name", image->name);
    sl_json_put_string(w, "manifest", image->manifest);
    sl_json_put_string(w, "config", image->config);
    sl_json_put_int(w, "size", (int64_t)image->bytes);
    sl_json_put_bool(w, "encrypted", image->encrypted);
    sl_json_put_int(w, "pulled", image->pulled);
    sl_json_open_array(w, "diffIds");
    for (size_t i = 0; i < image->n_layers; i++)
        sl_json_put_string(w, NULL, image->diff_ids[i]);
    sl_json_close_array(w);
    put_verdict(w, image);
    sl_json_close_object(w);
}

int verb_images(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sluice) s = NULL;
    SL_AUTO(sluice_image_list) list = NULL;
    struct sluice_error why = {0};
    SL_AUTO(sl_json_writer) w = o->json ? sl_json_writer_new(/* pretty= */ true) : NULL;
    int r = cli_open_store(o, &s, err);
    if (r >= 0)
        r = sl_error_from_api(sluice_list(s, &list, &why), &why, err);
    if (r < 0)
        return r;
    if (!o->json)
        printf("%-50s %-12s %6s %9s %-9s %s\n", "NAME", "MANIFEST", "LAYERS", "SIZE", "CAME",
               "PULLED (UTC)");
    sl_json_open_array(w, "images");
    for (size_t i = 0; i < list->n; i++) {
        if (o->json)
            put_image(w, list->images[i]);
        else
            print_row(list->images[i]);
    }
    sl_json_close_array(w);
    return o->json ? cli_print_json(w, err) : 0;
}
