/* Finds the part of a picture that is the strongest evidence for the most probable class.
 *
 *     tools/install.sh                     (as root, or with PREFIX=$HOME/.local)
 *     cc examples/c/explain.c $(pkg-config --cflags --libs occlude) -o explain
 *     ./explain builtin cat.jpg [STRIDE]
 *
 * "builtin" is the network inside the library; a path names another one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "occlude.h"

static void check(int status)
{
    if (status != OCCLUDE_OK) {
        fprintf(stderr, "\nerror: %s\n", occlude_last_error());
        exit(1);
    }
}

static int show_progress(size_t done, size_t total, void *user)
{
    fprintf(user, "\r%zu of %zu positions", done, total);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s WEIGHTS PICTURE [STRIDE]\n", argv[0]);
        return 2;
    }
    size_t stride = argc > 3 ? strtoul(argv[3], NULL, 10) : 22;

    occlude_network *network;
    occlude_image *image;
    occlude_options *options;
    occlude_maps *maps;
    check(occlude_network_load(argv[1], &network));
    check(occlude_image_open(argv[2], OCCLUDE_RESIZE_STRETCH, &image));
    check(occlude_options_new(&options));
    check(occlude_options_stride(options, stride, stride));
    check(occlude_explain(network, image, options, show_progress, stderr, NULL, &maps));
    fputs("\n", stderr);

    size_t class_index, grid[2], rect[4], strongest = 0;
    float probability;
    check(occlude_maps_class(maps, 0, &class_index));
    check(occlude_maps_base_score(maps, 0, &probability));
    check(occlude_maps_grid(maps, grid));
    size_t count = grid[0] * grid[1];
    float *drops = malloc(count * sizeof *drops);
    check(occlude_maps_map(maps, 0, drops, drops ? count : 0));
    for (size_t i = 1; i < count; i++) {
        strongest = drops[i] > drops[strongest] ? i : strongest;
    }
    check(occlude_maps_mask_rect(maps, strongest / grid[1], strongest % grid[1], rect));

    /* Nine digits distinguish all floats. */
    printf("class %zu: %s\n", class_index, occlude_label(network, class_index));
    printf("probability %.9g\n", (double)probability);
    printf("grid %zu x %zu\n", grid[0], grid[1]);
    printf("strongest drop %.9g, with a mask %zu pixels wide and %zu high, from x %zu and y %zu on\n",
           (double)drops[strongest], rect[3] - rect[1], rect[2] - rect[0], rect[1], rect[0]);
    free(drops);
    occlude_maps_free(maps);
    occlude_options_free(options);
    occlude_image_free(image);
    occlude_network_free(network);
    return 0;
}
