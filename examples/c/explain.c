/* Finds the part of a picture that is the strongest evidence for the most probable class.
 *
 *     cargo rustc --release --lib --no-default-features --features rayon,capi --crate-type cdylib,staticlib
 *     cc -I src/capi examples/c/explain.c target/release/libocclude.a -lpthread -ldl -lm -o explain
 *     ./explain weights/bvlc_googlenet.safetensors [PICTURE.ppm [STRIDE]]
 *
 * The picture is a binary PPM file (`convert cat.jpg cat.ppm`). Without one, a formula draws rings and a saddle.
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

static unsigned char *formula(size_t side)
{
    unsigned char *rgb = malloc(side * side * 3);
    for (size_t y = 0; rgb && y < side; y++) {
        for (size_t x = 0; x < side; x++) {
            long dx = (long)x - 150, dy = (long)y - 90;
            unsigned char *pixel = rgb + (y * side + x) * 3;
            pixel[0] = (unsigned char)((x * x + y * y) / 64);
            pixel[1] = (unsigned char)((dx * dx + dy * dy) / 37);
            pixel[2] = (unsigned char)((x ^ y) + (x / 32 + y / 32) % 2 * 24);
        }
    }
    return rgb;
}

static unsigned char *read_ppm(const char *path, size_t *height, size_t *width)
{
    unsigned char *rgb = NULL;
    FILE *file = fopen(path, "rb");
    if (file && fscanf(file, "P6 %zu %zu 255", width, height) == 2 && fgetc(file) != EOF && *width > 0 &&
        *width < 65536 && *height < 65536) {
        rgb = malloc(*height * *width * 3 + 1);
        if (rgb && fread(rgb, *width * 3, *height, file) != *height) {
            free(rgb);
            rgb = NULL;
        }
    }
    if (file) {
        fclose(file);
    }
    return rgb;
}

static int show_progress(size_t done, size_t total, void *user)
{
    fprintf(user, "\r%zu of %zu positions", done, total);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: %s WEIGHTS [PICTURE.ppm [STRIDE]]\n", argv[0]);
        return 2;
    }
    size_t height = OCCLUDE_SIDE, width = OCCLUDE_SIDE;
    unsigned char *rgb = argc > 2 ? read_ppm(argv[2], &height, &width) : formula(OCCLUDE_SIDE);
    if (!rgb) {
        fprintf(stderr, "error: %s is not a picture that this reads: expected a binary PPM\n", argv[argc > 2 ? 2 : 0]);
        return 1;
    }
    size_t stride = argc > 3 ? strtoul(argv[3], NULL, 10) : 22;

    occlude_network *network;
    occlude_image *image;
    occlude_options *options;
    occlude_maps *maps;
    check(occlude_network_load(argv[1], &network));
    check(occlude_image_from_rgb(rgb, height, width, width * 3, OCCLUDE_RESIZE_STRETCH, &image));
    free(rgb);
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
    printf("strongest drop %.9g, with rows %zu to %zu and columns %zu to %zu of %d covered\n",
           (double)drops[strongest], rect[0], rect[2], rect[1], rect[3], OCCLUDE_SIDE);
    free(drops);
    occlude_maps_free(maps);
    occlude_options_free(options);
    occlude_image_free(image);
    occlude_network_free(network);
    return 0;
}
