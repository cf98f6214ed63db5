/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wrap_driver PLBCO-FILE [--append ANNOTATIONS.json] [--keks FILE] [--sample] [--ctr] RECIPIENT…
 *
 * Wraps private options. Prints the layer's annotations (with an HMAC of zeros) as JSON, or
 * "error CODE: MESSAGE" with status 1.
 */
#include "sluice/core/json.h"
#include "sluice/core/json_writer.h"
#include "sluice/kbc.h"
#include "sluice/key_wrap.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS_MAX = 32, FILE_LIMIT = 4 << 20 };

struct request {
    struct sl_recipients *recipients;
    struct sl_kbc *kbc;
    const char *append;
};

static int read_arguments(int argc, char **argv, struct request *q, struct sl_error *err)
{
    int r = 0;
    for (int i = 2; r == 0 && i < argc; i++) {
        if (strcmp(argv[i], "--append") == 0 && i + 1 < argc) {
            q->append = argv[++i];
        } else if (strcmp(argv[i], "--keks") == 0 && i + 1 < argc) {
            r = sl_kbc_open(&(struct sl_kbc_options){.selection = "offline_fs_kbc::null",
                                                     .offline_keys = argv[++i]},
                            &q->kbc, err);
            if (r == 0)
                sl_recipients_set_kek_lookup(q->recipients, sl_kbc_lookup_kek, q->kbc);
        } else if (strcmp(argv[i], "--sample") == 0) {
            sl_recipients_allow_sample(q->recipients, true);
        } else if (strcmp(argv[i], "--ctr") == 0) {
            sl_recipients_allow_a256ctr(q->recipients, true);
        } else {
            r = sl_recipients_add_spec(q->recipients, argv[i], err);
        }
    }
    return r;
}

static int append(const struct request *q, struct sl_span plbco, struct sl_annotations *ret,
                  struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO(sl_json_doc) doc = NULL;
    struct sl_pair pairs[PAIRS_MAX];
    int r = sl_read_file(AT_FDCWD, q->append, FILE_LIMIT, &text, err);
    if (r == 0)
        r = sl_json_parse(sl_bytes_span(&text), q->append, NULL, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *root = sl_json_root(doc);
    size_t n = 0;
    for (; n < sl_json_count(root) && n < PAIRS_MAX; n++)
        pairs[n] = (struct sl_pair){(char *)sl_json_name_at(root, n),
                                    (char *)sl_json_string(sl_json_at(root, n))};
    return sl_recipients_append(q->recipients, plbco, pairs, n, ret, err);
}

static int print(const struct sl_annotations *annotations, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    SL_AUTO_DONE(sl_bytes) text = {0};
    for (size_t i = 0; i < annotations->n; i++)
        sl_json_put_string(w, annotations->pairs[i].name, annotations->pairs[i].value);
    int r = sl_json_end(w, &text, err);
    if (r == 0)
        (void)fputs((char *)text.data, stdout);
    return r;
}

static int run(const struct request *q, const char *path, struct sl_error *err)
{
    static const uint8_t hmac[SL_HMAC_SIZE];
    SL_AUTO_DONE(sl_annotations) annotations = {0};
    struct sl_bytes plbco = {0};
    int r = sl_read_file(AT_FDCWD, path, FILE_LIMIT, &plbco, err);
    if (r < 0)
        return r;
    struct sl_span span = sl_bytes_span(&plbco);
    r = q->append ? append(q, span, &annotations, err)
                  : sl_recipients_annotate(q->recipients, span, hmac, NULL, 0, &annotations, err);
    if (r == 0)
        r = print(&annotations, err);
    sl_bytes_wipe(&plbco);
    return r;
}

int main(int argc, char **argv)
{
    struct sl_error err = {0};
    struct request q = {0};
    if (argc < 2)
        return 2;
    int r = sl_recipients_new(&q.recipients, &err);
    if (r == 0)
        r = read_arguments(argc, argv, &q, &err);
    if (r == 0)
        r = run(&q, argv[1], &err);
    (void)sl_recipients_free(q.recipients);
    (void)sl_kbc_close(q.kbc);
    if (r == 0)
        return 0;
    printf("error %s: %s\n", sl_errc_name(err.code), err.msg);
    return 1;
}
