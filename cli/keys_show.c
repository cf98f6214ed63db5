/* SPDX-License-Identifier: Apache-2.0 */
/* sluice keys show: for whom the layers of an image are encrypted, as anybody can read it. */
#include "keys_show.h"
#include "sluice/key_unwrap.h"
#include "sluice/manifest.h"

#include <stdio.h>
#include <string.h>

/* What an image says goes to a terminal: nothing in it may steer one. */
static void print_word(const char *text, int width)
{
    int n = 0;
    if (!text || !*text)
        text = "-";
    for (; *text; text++, n++)
        putchar(*text > ' ' && *text < 0x7f ? *text : '?');
    for (; n < width; n++)
        putchar(' ');
    if (width)
        putchar(' ');
}

static void print_key(const struct sl_wrapped_key_info *key)
{
    print_word(key->protocol, 9);
    print_word(key->provider, 18);
    print_word(key->wrap_type, 16);
    if (key->malformed)
        printf("(%s)", key->malformed);
    else
        print_word(key->kid, 0);
    putchar('\n');
}

static void print_layer_start(size_t number, const struct sl_descriptor *layer)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(&layer->digest, hex);
    printf("%5zu %.12s ", number, hex);
}

static void put_text(struct sl_json_writer *w, const char *name, const char *text)
{
    if (text && *text)
        sl_json_put_string(w, name, text);
}

static void put_key(struct sl_json_writer *w, const struct sl_wrapped_key_info *key)
{
    sl_json_open_object(w, NULL);
    put_text(w, "protocol", key->protocol);
    put_text(w, "provider", key->provider);
    sl_json_put_int(w, "index", (int64_t)key->index);
    put_text(w, "kid", key->kid);
    put_text(w, "wrapType", key->wrap_type);
    if (key->n_recipients)
        sl_json_put_int(w, "recipients", (int64_t)key->n_recipients);
    put_text(w, "malformed", key->malformed);
    sl_json_close_object(w);
}

/* w NULL: the table. */
static int show_keys(struct sl_json_writer *w, size_t number, const struct sl_descriptor *layer,
                     const struct sl_enc_annotations *a, struct sl_error *err)
{
    struct sl_wrapped_key_info key;
    int r;
    for (size_t i = 0; (r = sl_enc_annotations_info(a, i, &key, err)) > 0; i++) {
        put_key(w, &key);
        if (w)
            continue;
        print_layer_start(number, layer);
        print_key(&key);
    }
    return r;
}

static int show_encrypted(struct sl_json_writer *w, size_t number,
                          const struct sl_descriptor *layer, struct sl_error *err)
{
    SL_AUTO(sl_enc_annotations) a = NULL;
    int r = sl_enc_annotations_parse(layer->annotations, layer->n_annotations, &a, err);
    if (r < 0)
        return sl_error_wrap(err, r, "layer %zu", number);
    sl_json_put_string(w, "cipher", sl_enc_annotations_cipher(a));
    sl_json_open_array(w, "keys");
    r = show_keys(w, number, layer, a, err);
    sl_json_close_array(w);
    return r;
}

static int show_layer(struct sl_json_writer *w, size_t number, const struct sl_descriptor *layer,
                      struct sl_error *err)
{
    struct sl_layer_media media = {0};
    bool known = sl_layer_media_parse(layer->media_type, &media, /* err= */ NULL) == 0;
    bool encrypted = known && media.encrypted;
    int r = 0;
    sl_json_open_object(w, NULL);
    sl_json_put_digest(w, "digest", &layer->digest);
    sl_json_put_string(w, "mediaType", layer->media_type);
    sl_json_put_bool(w, "encrypted", encrypted);
    if (encrypted) {
        r = show_encrypted(w, number, layer, err);
    } else if (!w) {
        print_layer_start(number, layer);
        puts("not encrypted");
    }
    sl_json_close_object(w);
    return r;
}

static int show_image(const struct cli_options *o, const struct sluice_documents *image,
                      const struct sl_manifest *manifest, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = o->json ? sl_json_writer_new(/* pretty= */ true) : NULL;
    sl_json_put_string(w, "name", image->name);
    sl_json_put_string(w, "digest", image->manifest_digest);
    if (!o->json)
        printf("LAYER %-12s %-9s %-18s %-16s %s\n", "DIGEST", "PROTOCOL", "PROVIDER", "WRAPPED",
               "KEY");
    sl_json_open_array(w, "layers");
    for (size_t i = 0; i < manifest->n_layers; i++) {
        int r = show_layer(w, i, &manifest->layers[i], err);
        if (r < 0)
            return r;
    }
    sl_json_close_array(w);
    return o->json ? cli_print_json(w, err) : 0;
}

int keys_show(const struct cli_options *o, const char *image_text, struct sl_error *err)
{
    SL_AUTO(sluice_documents) image = NULL;
    SL_AUTO(sl_manifest) manifest = NULL;
    int r = cli_inspect(o, image_text, &image, err);
    if (r == 0)
        r = cli_parse_manifest(image, &manifest, err);
    return r == 0 ? show_image(o, image, manifest, err) : r;
}
