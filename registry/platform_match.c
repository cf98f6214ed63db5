/* SPDX-License-Identifier: Apache-2.0 */
#include "platform_match.h"

#include <stdlib.h>
#include <string.h>

/* Variants that contain one another: a machine of a level runs images of all lower ones. */
static const struct variant_ladder {
    const char *architecture;
    int lowest, usual; /* usual: what no variant means */
} ladders[] = {
    {"amd64", 1, 1},
    {"arm", 5, 7},
    {"arm64", 8, 8},
};

static const struct alias {
    const char *name, *architecture, *variant;
} aliases[] = {
    {"x86_64", "amd64", NULL}, {"x86-64", "amd64", NULL},        {"aarch64", "arm64", NULL},
    {"armhf", "arm", "v7"},    {"armel", "arm", "v6"},           {"i386", "386", NULL},
    {"i686", "386", NULL},     {"loongarch64", "loong64", NULL},
};

enum {
    LEVEL_UNIT = 100, /* "v9.2" is level 902 */
    LEVEL_PART_MAX = 99,
    EXACT_SCORE = 100000, /* above any level */
};

static const struct alias *find_alias(const char *architecture)
{
    for (size_t i = 0; architecture && i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (strcmp(aliases[i].name, architecture) == 0)
            return &aliases[i];
    return NULL;
}

const char *sl_architecture_name(const char *name)
{
    const struct alias *a = find_alias(name);
    return a ? a->architecture : name;
}

static const char *variant_of(const struct sl_platform *p)
{
    const struct alias *a = find_alias(p->architecture);
    if (p->variant && *p->variant)
        return p->variant;
    return a ? a->variant : NULL;
}

/* Up to two digits at *text, which moves behind them; -1 for none. */
static int read_level_part(const char **text)
{
    int value = -1;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        value = (value < 0 ? 0 : value * 10) + (**text - '0');
        if (value > LEVEL_PART_MAX)
            return -1;
    }
    return value;
}

/* "v7", "7", "v8.2" as a level; -1 for anything else. */
static int parse_level(const char *variant)
{
    const char *p = variant + (variant[0] == 'v');
    int major = read_level_part(&p), minor = 0;
    if (major >= 0 && *p == '.') {
        p++;
        minor = read_level_part(&p);
    }
    return major < 0 || minor < 0 || *p ? -1 : major * LEVEL_UNIT + minor;
}

static int match_level(const struct variant_ladder *ladder, const char *image, const char *want)
{
    int usual = ladder->usual * LEVEL_UNIT;
    int have = image ? parse_level(image) : usual;
    int need = want ? parse_level(want) : usual;
    /* A variant outside the ladder is only good for itself. */
    if (have < 0 || need < 0)
        return image && want && strcmp(image, want) == 0 ? EXACT_SCORE : -1;
    return have >= ladder->lowest * LEVEL_UNIT && have <= need ? have : -1;
}

static int match_variant(const char *architecture, const char *image, const char *want)
{
    for (size_t i = 0; i < sizeof(ladders) / sizeof(ladders[0]); i++)
        if (strcmp(ladders[i].architecture, architecture) == 0)
            return match_level(&ladders[i], image, want);
    if (!image)
        return 0;
    return want && strcmp(image, want) == 0 ? EXACT_SCORE : -1;
}

int sl_platform_match(const struct sl_platform *image, const struct sl_platform *want)
{
    const char *architecture = sl_architecture_name(want->architecture);
    if (!image->os || !image->architecture || strcmp(image->os, want->os) != 0 ||
        strcmp(sl_architecture_name(image->architecture), architecture) != 0)
        return -1;
    return match_variant(architecture, variant_of(image), variant_of(want));
}

/* Decided when compiled: a 32-bit program on a 64-bit kernel wants 32-bit images. */
#if defined(__x86_64__)
#define MACHINE_ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define MACHINE_ARCHITECTURE "arm64"
#elif defined(__arm__)
#define MACHINE_ARCHITECTURE "arm"
#elif defined(__s390x__)
#define MACHINE_ARCHITECTURE "s390x"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define MACHINE_ARCHITECTURE "ppc64le"
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE_ARCHITECTURE "riscv64"
#elif defined(__loongarch64)
#define MACHINE_ARCHITECTURE "loong64"
#elif defined(__i386__)
#define MACHINE_ARCHITECTURE "386"
#else
#error "what is the Go name of this architecture?"
#endif

const struct sl_platform *sl_platform_of_machine(void)
{
    static char os[] = "linux";
    static char architecture[] = MACHINE_ARCHITECTURE;
    static const struct sl_platform machine = {.os = os, .architecture = architecture};
    return &machine;
}
