/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and folders named on the command line: the corpus as a plain
 * test, for builds without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_inputs;

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    struct stat st;
    if (fstat(fileno(f), &st) < 0 || st.st_size > 64 * 1024 * 1024) {
        fprintf(stderr, "%s: not a usable input\n", path);
        fclose(f);
        return 1;
    }
    size_t size = (size_t)st.st_size;
    /* Exactly as large as the input, so that the sanitizer sees an overread of one byte. */
    uint8_t *data = malloc(size ? size : 1);
    int bad = !data || fread(data, 1, size, f) != size;
    fclose(f);
    if (!bad) {
        (void)LLVMFuzzerTestOneInput(data, size);
        n_inputs++;
    }
    free(data);
    return bad;
}

static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        perror(path);
        return 1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    DIR *d = opendir(path);
    if (!d) {
        perror(path);
        return 1;
    }
    int bad = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        char child[4096];
        if (snprintf(child, sizeof(child), "%s/%s", path, e->d_name) >= (int)sizeof(child))
            bad = 1;
        else
            bad |= replay(child);
    }
    closedir(d);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i]);
    printf("%u inputs replayed\n", n_inputs);
    return bad || n_inputs == 0;
}
