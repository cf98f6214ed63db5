/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_rivalry.h"

#include "sluice/core/cleanup.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

bool sl_bench_smoke;

enum { SMOKE_SIZE = 64 * 1024, CASES_MAX = 1024 };

static const struct sl_bench_table *const tables[] = {
    &sl_bench_crypto,
    &sl_bench_decompress,
    &sl_bench_untar,
    &sl_bench_layer_path,
};
enum { N_TABLES = sizeof(tables) / sizeof(tables[0]) };

size_t sl_bench_size(size_t wanted)
{
    return sl_bench_smoke && wanted > SMOKE_SIZE ? SMOKE_SIZE : wanted;
}

/* All cases, with a group for each to begin with. */
struct selection {
    struct sl_bench_result list[CASES_MAX];
    bool is_in[CASES_MAX];
    size_t n;
};

static int add_cases(struct selection *s, struct sl_error *err)
{
    for (size_t t = 0; t < N_TABLES; t++)
        for (size_t i = 0; i < tables[t]->n_cases; i++) {
            if (s->n == CASES_MAX)
                return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d cases", CASES_MAX);
            s->list[s->n].c = &tables[t]->cases[i];
            s->list[s->n].group = s->n;
            s->n++;
        }
    return 0;
}

static int find(const struct selection *s, const char *name, size_t *ret, struct sl_error *err)
{
    size_t found = 0;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->list[i].c->name, name) == 0) {
            *ret = i;
            found++;
        }
    if (found == 1)
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s is %s", name,
                        found ? "the name of two cases" : "no case, but a rival");
}

/* The smaller number wins, so that groups come in the order of the tables. */
static void join(struct selection *s, size_t a, size_t b)
{
    size_t from = s->list[a].group, to = s->list[b].group;
    if (from < to) {
        size_t swapped = from;
        from = to;
        to = swapped;
    }
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].group == from)
            s->list[i].group = to;
}

static int add_rivals(struct selection *s, size_t i, struct sl_error *err)
{
    for (const char *const *name = s->list[i].c->rivals; *name; name++) {
        size_t rival;
        int r = find(s, *name, &rival, err);
        if (r < 0)
            return sl_error_wrap(err, r, "%s", s->list[i].c->name);
        if (s->list[i].is_wanted) {
            s->is_in[rival] = true;
            join(s, i, rival);
        }
    }
    return 0;
}

static int by_group(const void *pa, const void *pb)
{
    const struct sl_bench_result *a = pa, *b = pb;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    return a->c < b->c ? -1 : a->c > b->c; /* of one table, since of one group */
}

static int collect(const struct selection *s, struct sl_bench_results *ret, struct sl_error *err)
{
    ret->n = 0;
    ret->list = calloc(s->n, sizeof(*ret->list));
    if (!ret->list)
        return sl_error_oom(err);
    for (size_t i = 0; i < s->n; i++)
        if (s->is_in[i])
            ret->list[ret->n++] = s->list[i];
    qsort(ret->list, ret->n, sizeof(*ret->list), by_group);
    return 0;
}

static int mark_wanted(struct selection *s, const char *pattern, struct sl_error *err)
{
    regex_t filter;
    if (regcomp(&filter, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "--filter %s is no regular expression: name cases, such as crypto/",
                            pattern);
    for (size_t i = 0; i < s->n; i++)
        s->is_in[i] = s->list[i].is_wanted = regexec(&filter, s->list[i].c->name, 0, NULL, 0) == 0;
    regfree(&filter);
    return 0;
}

int sl_bench_select(const char *pattern, struct sl_bench_results *ret, struct sl_error *err)
{
    SL_AUTO_FREE struct selection *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    int r = add_cases(s, err);
    r = r ? r : mark_wanted(s, pattern, err);
    for (size_t i = 0; r == 0 && i < s->n; i++)
        r = add_rivals(s, i, err);
    for (size_t i = 0; r == 0 && i < s->n; i++) {
        size_t self;
        r = find(s, s->list[i].c->name, &self, err);
    }
    return r < 0 ? r : collect(s, ret, err);
}

void sl_bench_results_done(struct sl_bench_results *results)
{
    free(results->list);
    *results = (struct sl_bench_results){0};
}

size_t sl_bench_failures(const struct sl_bench_results *results)
{
    size_t n = 0;
    for (size_t i = 0; i < results->n; i++)
        n += results->list[i].r < 0 && results->list[i].err.code != SL_E_UNSUPPORTED;
    return n;
}
