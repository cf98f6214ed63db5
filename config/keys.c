/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include "check.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_LEN = 80, /* bytes of a name that is compared with those that exist */
    DISTANCE_MAX = 2,  /* letters wrong, missing or too many, for it to be meant */
};

#define sl_config_check_NULL NULL
static const struct sl_config_key keys[CONFIG_KEYS] = {
#define CONFIG_KEY(id, name, kind, member, fallback, check, min, max, flags)                       \
    [CONFIG_##id] = {name,                                                                         \
                     CONFIG_KIND_##kind,                                                           \
                     offsetof(struct sl_config, member),                                           \
                     fallback,                                                                     \
                     sl_config_check_##check,                                                      \
                     min,                                                                          \
                     max,                                                                          \
                     flags},
#include "keys.def"
#undef CONFIG_KEY
};

const struct sl_config_key *sl_config_key_at(enum sl_config_id id)
{
    return &keys[id];
}

bool sl_config_key_find(const char *name, enum sl_config_id *ret)
{
    for (int i = 0; i < CONFIG_KEYS; i++)
        if (strcmp(keys[i].name, name) == 0) {
            *ret = (enum sl_config_id)i;
            return true;
        }
    return false;
}

bool sl_config_is_table(const char *name)
{
    size_t len = strlen(name);
    for (int i = 0; i < CONFIG_KEYS; i++)
        if (strncmp(keys[i].name, name, len) == 0 && keys[i].name[len] == '.')
            return true;
    return false;
}

const char *const *sl_config_choices(enum sl_config_id id)
{
    static const char *const keep[] = {[SL_KEEP_ALL] = "all", [SL_KEEP_MOUNTED] = "mounted", NULL};
    static const char *const dialects[] = {"containers", "image-rs", NULL}; /* false, true */
    return id == CONFIG_KEEP ? keep : dialects;
}

/* ---- near misses ---- */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's, and two neighbours that have changed places are one step. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][NAME_MAX_LEN + 1];
    size_t n = strlen(b);
    size_t i = 0;
    for (unsigned j = 0; j <= n; j++)
        rows[0][j] = j;
    for (; a[i]; i++) {
        const unsigned *before = rows[(i + 2) % 3], *above = rows[i % 3];
        unsigned *row = rows[(i + 1) % 3];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            row[j + 1] = min3(above[j + 1] + 1, row[j] + 1, above[j] + (a[i] != b[j]));
            bool is_swapped = i && j && a[i] == b[j - 1] && a[i - 1] == b[j];
            if (is_swapped && before[j - 1] + 1 < row[j + 1])
                row[j + 1] = before[j - 1] + 1;
        }
    }
    return rows[i % 3][n];
}

static const char *leaf_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

/* The same key in another table, or a key or table with almost this name. */
static unsigned badness(const char *wanted, const char *candidate)
{
    if (strcmp(leaf_of(wanted), leaf_of(candidate)) == 0)
        return 1;
    unsigned d = distance(wanted, candidate);
    return d <= DISTANCE_MAX && (size_t)2 * d < strlen(leaf_of(wanted)) ? d : DISTANCE_MAX + 1;
}

/* Calls consider() for a key's name and for those of the tables it lies in. */
static void consider_all(const char *key, const char *wanted, unsigned *best, char *ret)
{
    char name[NAME_MAX_LEN + 1];
    (void)stpncpy(name, key, NAME_MAX_LEN);
    name[NAME_MAX_LEN] = 0;
    for (char *dot = name; dot; dot = strrchr(name, '.')) {
        if (dot != name)
            *dot = 0;
        unsigned bad = badness(wanted, name);
        if (bad < *best) {
            *best = bad;
            memcpy(ret, name, sizeof(name));
        }
    }
}

char *sl_config_suggest(const char *name)
{
    char found[NAME_MAX_LEN + 1] = "";
    unsigned best = DISTANCE_MAX + 1;
    if (strlen(name) > NAME_MAX_LEN)
        return NULL;
    for (int i = 0; i < CONFIG_KEYS; i++)
        consider_all(keys[i].name, name, &best, found);
    return *found ? strdup(found) : NULL;
}
