/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge_driver
 *
 * Judges many images in one process. stdin is a list of fields "NAME LENGTH\n" and so many bytes:
 *
 *     policy, image, manifest, index      kept until they are said again; an empty index is none
 *     simple, cosign, bundle              the bytes of one more signature
 *     signature, certificate, chain, rekor, timestamp
 *                                         annotations of that signature
 *     judge                               answers, and forgets the signatures
 *
 * For each judge a line: "allowed", or "denied CODE N: REASON", where N counts the signatures that
 * were looked at, or "refused: REASON" when the policy itself is.
 */
#include "sluice/core/digest.h"
#include "sluice/signature_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_MAX = 16 * 1024 * 1024 };

struct world {
    struct sl_bytes policy, image, manifest, index;
    struct sl_signature_policy *parsed; /* of policy; NULL: not yet, or refused */
    struct sl_signatures signatures;
};

static void world_done(struct world *w)
{
    sl_bytes_done(&w->policy);
    sl_bytes_done(&w->image);
    sl_bytes_done(&w->manifest);
    sl_bytes_done(&w->index);
    sl_signature_policy_free(w->parsed);
    sl_signatures_done(&w->signatures);
}
SL_DEFINE_AUTO_DONE(world, world_done)

static int malformed(struct sl_error *err, const char *name)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "field '%s'", name);
}

/* ---- fields ---- */

static struct sl_bytes *find_kept(struct world *w, const char *name)
{
    if (strcmp(name, "policy") == 0)
        w->parsed = sl_signature_policy_free(w->parsed);
    return strcmp(name, "policy") == 0     ? &w->policy
           : strcmp(name, "image") == 0    ? &w->image
           : strcmp(name, "manifest") == 0 ? &w->manifest
           : strcmp(name, "index") == 0    ? &w->index
                                           : NULL;
}

static char **find_annotation(struct world *w, const char *name)
{
    struct sl_signature *s = w->signatures.n ? &w->signatures.items[w->signatures.n - 1] : NULL;
    return !s                                 ? NULL
           : strcmp(name, "signature") == 0   ? &s->signature
           : strcmp(name, "certificate") == 0 ? &s->certificate
           : strcmp(name, "chain") == 0       ? &s->chain
           : strcmp(name, "rekor") == 0       ? &s->rekor
           : strcmp(name, "timestamp") == 0   ? &s->timestamp
                                              : NULL;
}

static int add_signature(struct world *w, const char *name, struct sl_bytes *bytes,
                         struct sl_error *err)
{
    static const char *const kinds[] = {
        [SL_SIGNATURE_SIMPLE] = "simple",
        [SL_SIGNATURE_COSIGN] = "cosign",
        [SL_SIGNATURE_BUNDLE] = "bundle",
    };
    size_t kind = 0;
    while (kind < 3 && strcmp(kinds[kind], name) != 0)
        kind++;
    if (kind == 3)
        return malformed(err, name);
    struct sl_signature s = {.kind = (enum sl_signature_kind)kind, .bytes = *bytes};
    *bytes = (struct sl_bytes){0};
    s.where = sl_strf("%s %zu", name, w->signatures.n + 1);
    return sl_signatures_add(&w->signatures, &s, err);
}

static int set_field(struct world *w, const char *name, struct sl_bytes *bytes,
                     struct sl_error *err)
{
    struct sl_bytes *kept = find_kept(w, name);
    char **annotation = find_annotation(w, name);
    if (!kept && !annotation)
        return add_signature(w, name, bytes, err);
    bool is_text = annotation || kept == &w->image;
    if (is_text && memchr(bytes->data, 0, bytes->len)) /* that would not arrive whole */
        return malformed(err, name);
    if (kept) {
        sl_bytes_done(kept);
        *kept = *bytes;
    } else {
        free(*annotation);
        *annotation = (char *)bytes->data;
    }
    *bytes = (struct sl_bytes){0};
    return 0;
}

/* 1 with a field, 0 at the end. */
static int read_field(char name[16], struct sl_bytes *ret, struct sl_error *err)
{
    char line[64];
    size_t len;
    char newline;
    if (!fgets(line, sizeof(line), stdin))
        return 0;
    if (sscanf(line, "%15s %zu%c", name, &len, &newline) != 3 || newline != '\n' || len > FIELD_MAX)
        return malformed(err, line);
    ret->data = calloc(1, len + 1);
    ret->len = len;
    ret->cap = len + 1;
    if (!ret->data)
        return sl_error_oom(err);
    return fread(ret->data, 1, len, stdin) == len ? 1 : malformed(err, name);
}

/* ---- verdicts ---- */

static struct sl_digest digest_of(const struct sl_bytes *bytes)
{
    SL_AUTO(sl_hash) h = NULL;
    struct sl_digest digest;
    if (sl_hash_new(SL_SHA256, &h, /* err= */ NULL) < 0)
        abort();
    sl_hash_update(h, sl_bytes_span(bytes));
    sl_hash_final(h, &digest);
    return digest;
}

static void print_denied(const struct sl_policy_verdict *verdict, const struct sl_error *err)
{
    const struct sl_requirement_verdict *last =
        &verdict->requirements[verdict->n_requirements ? verdict->n_requirements - 1 : 0];
    printf("denied %s %zu: %s\n",
           sl_signature_code_name(verdict->n_requirements ? last->code : SL_SIG_REJECT),
           verdict->n_requirements ? last->n_findings : 0, err->msg);
}

static int judge(struct world *w, struct sl_error *err)
{
    SL_AUTO(sl_approval) approval = NULL;
    SL_AUTO(sl_policy_verdict) verdict = NULL;
    struct sl_resources resources = {0};
    struct sl_error why = {0};
    const struct sl_judged_image image = {
        .name = (const char *)w->image.data,
        .manifest = sl_bytes_span(&w->manifest),
        .manifest_digest = digest_of(&w->manifest),
        .has_index = w->index.len > 0,
        .index = sl_bytes_span(&w->index),
        .index_digest = digest_of(&w->index),
    };
    int r = w->parsed ? 0
                      : sl_signature_policy_parse(
                            sl_bytes_span(&w->policy),
                            &(struct sl_signature_policy_options){.require_signed = true},
                            &resources, &w->parsed, &why);
    if (r < 0) {
        printf("refused: %s\n", why.msg);
        return 0;
    }
    r = sl_signature_policy_judge(w->parsed, &image, &w->signatures, &approval, &verdict, &why);
    if (r < 0 && verdict)
        print_denied(verdict, &why);
    else if (r < 0)
        printf("refused: %s\n", why.msg);
    else if (!approval || !verdict->is_allowed)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "an approval and its verdict disagree");
    else
        printf("allowed\n");
    return 0;
}

static int run(struct world *w, struct sl_error *err)
{
    char name[16];
    int r;
    do {
        SL_AUTO_DONE(sl_bytes) bytes = {0};
        r = read_field(name, &bytes, err);
        if (r <= 0)
            return r;
        if (strcmp(name, "judge") != 0) {
            r = set_field(w, name, &bytes, err);
            continue;
        }
        r = judge(w, err);
        sl_signatures_done(&w->signatures);
        w->signatures = (struct sl_signatures){0};
    } while (r >= 0);
    return r;
}

int main(void)
{
    SL_AUTO_DONE(world) w = {0};
    struct sl_error err = {0};
    if (run(&w, &err) == 0)
        return 0;
    (void)fprintf(stderr, "judge_driver: %s\n", err.msg);
    return 1;
}
