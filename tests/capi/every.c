/* Calls every function of the C interface, right and wrong, except those of learn.c. Prints the numbers, floats by their bits, for tests/capi/main.rs to compare with
 * those of the Rust library; ends with 1 and a line on standard error if a function does not do as the header says.
 *
 *     every WEIGHTS PICTURE
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "occlude.h"

/* It is set, and refused when it is used. */
#define OUT_OF_RANGE(text, set)                                                                              \
    do {                                                                                                     \
        occlude_maps *none;                                                                                  \
        DO(set);                                                                                             \
        REFUSED(OCCLUDE_ERROR_OPTION, text,                                                                  \
                occlude_explain(network, image, options, NULL, NULL, NULL, &none));                          \
    } while (0)

enum { ROWS = 60, COLUMNS = 90, PADDING = 7, CLASSES = 1000, MOST = 121 };

static void print_sizes(const char *name, const size_t *values, size_t count)
{
    printf("%s", name);
    for (size_t i = 0; i < count; i++) {
        printf(" %zu", values[i]);
    }
    printf("\n");
}

/* Everything that an explanation has. */
static void print_maps(const char *name, const occlude_maps *maps)
{
    static float values[OCCLUDE_SIDE * OCCLUDE_SIDE];
    size_t grid[2], area[4], rect[4], classes[MOST];
    printf("%s\n", name);
    DO(occlude_maps_grid(maps, grid));
    DO(occlude_maps_area(maps, area));
    DO(occlude_maps_mask_rect(maps, grid[0] - 1, 0, rect));
    print_sizes("grid", grid, 2);
    print_sizes("area", area, 4);
    print_sizes("rect", rect, 4);
    size_t count = grid[0] * grid[1];
    CHECK(count <= MOST);
    for (size_t k = 0; k < occlude_maps_count(maps); k++) {
        size_t class_index, pixels = (area[2] - area[0]) * (area[3] - area[1]);
        DO(occlude_maps_class(maps, k, &class_index));
        print_sizes("class", &class_index, 1);
        DO(occlude_maps_base_score(maps, k, values));
        print("base_score", values, 1);
        DO(occlude_maps_scores(maps, k, values, count));
        print("scores", values, count);
        DO(occlude_maps_map(maps, k, values, count));
        print("map", values, count);
        DO(occlude_maps_upsampled(maps, k, values, pixels));
        print("upsampled", values, pixels);
    }
    DO(occlude_maps_argmax(maps, classes, count));
    print_sizes("argmax", classes, count);
    DO(occlude_maps_argmax_scores(maps, values, count));
    print("argmax_scores", values, count);
}

/* Everything that a region has. */
static void print_region(const char *name, const occlude_region *region, int searched)
{
    static unsigned char pixels[ROWS * COLUMNS];
    static float said[CLASSES];
    size_t numbers[4], area = occlude_region_area(region), found = 0;
    DO(occlude_region_size(region, numbers));
    numbers[2] = area;
    print_sizes(name, numbers, 3);
    for (size_t part = 0; part < occlude_region_parts(region); part++) {
        DO(occlude_region_box(region, part, numbers));
        print_sizes("box", numbers, 4);
    }
    DO(occlude_region_pixels(region, pixels, ROWS * COLUMNS));
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        found += pixels[i];
    }
    CHECK(found == area);
    for (int alone = 1; searched && alone >= 0; alone--) {
        DO(occlude_region_probabilities(region, alone, said, CLASSES));
        print(alone ? "alone" : "without", said, CLASSES);
    }
    ARGUMENT("size: is NULL", occlude_region_size(region, NULL));
    ARGUMENT("pixels: is NULL", occlude_region_pixels(region, NULL, ROWS * COLUMNS));
    ARGUMENT("pixels: has room for 1 values, expected 5400", occlude_region_pixels(region, pixels, 1));
    ARGUMENT("part: is 5400, expected", occlude_region_box(region, ROWS * COLUMNS, numbers));
    REFUSED(OCCLUDE_ERROR_ARGUMENT, searched ? "probabilities: is NULL" : "region: was not searched",
            occlude_region_probabilities(region, 1, NULL, CLASSES));
}

/* Regions by a map, of the class that the network predicts. */
static void regions(const occlude_network *network, const occlude_image *image, const occlude_maps *maps)
{
    enum { PIXELS = OCCLUDE_SIDE * OCCLUDE_SIDE };
    static float map[PIXELS], said[1];
    size_t class_index, box[4];
    occlude_region *region, *losing;
    occlude_options *options;
    occlude_cancel *cancel;
    DO(occlude_maps_class(maps, 0, &class_index));
    DO(occlude_maps_upsampled(maps, 0, map, PIXELS));
    for (int i = 0; i < 2; i++) {
        DO(occlude_region_above(image, map, PIXELS, i ? 0 : 0.75f, &region));
        print_region("above", region, 0);
        occlude_region_free(region);
    }
    DO(occlude_options_new(&options));
    DO(occlude_options_mask_rgb(options, 255, 0, 90));
    DO(occlude_options_threads(options, 2));
    DO(occlude_region_smallest(network, image, options, class_index, map, PIXELS, 56, NULL, &region, &losing));
    print_region("keeping", region, 1);
    print_region("losing", losing, 1);
    occlude_region_free(region);
    occlude_region_free(losing);
    /* A class that no part has, and that the whole picture does not have. */
    DO(occlude_region_smallest(network, image, NULL, 3, map, PIXELS, 56, NULL, &region, &losing));
    CHECK(region == NULL && losing != NULL && occlude_region_area(losing) == 0);
    print_region("lost", losing, 1);
    occlude_region_free(losing);

    DO(occlude_cancel_new(&cancel));
    DO(occlude_cancel_request(cancel));
    REFUSED(OCCLUDE_ERROR_CANCELLED, "cancelled",
            occlude_region_smallest(network, image, options, 3, map, PIXELS, 56, cancel, &region, &losing));
    CHECK(region == NULL && losing == NULL);
    occlude_cancel_free(cancel);
    occlude_options_free(options);
#define SEARCH(network, image, class_index, map, count, tile, keeping, losing)                               \
    occlude_region_smallest(network, image, NULL, class_index, map, count, tile, NULL, keeping, losing)
    ARGUMENT("keeping: is NULL", SEARCH(network, image, 3, map, PIXELS, 56, NULL, &losing));
    ARGUMENT("losing: is NULL", SEARCH(network, image, 3, map, PIXELS, 56, &region, NULL));
    ARGUMENT("network: is NULL", SEARCH(NULL, image, 3, map, PIXELS, 56, &region, &losing));
    ARGUMENT("image: is NULL", SEARCH(network, NULL, 3, map, PIXELS, 56, &region, &losing));
    ARGUMENT("map: is NULL", SEARCH(network, image, 3, NULL, PIXELS, 56, &region, &losing));
    ARGUMENT("count: is 49, expected 50176", SEARCH(network, image, 3, map, 49, 56, &region, &losing));
    REFUSED(OCCLUDE_ERROR_OPTION, "tile 3", SEARCH(network, image, 3, map, PIXELS, 3, &region, &losing));
    REFUSED(OCCLUDE_ERROR_OPTION, "class 1000", SEARCH(network, image, CLASSES, map, PIXELS, 56, &region, &losing));
    ARGUMENT("region: is NULL", occlude_region_above(image, map, PIXELS, 1, NULL));
    ARGUMENT("image: is NULL", occlude_region_above(NULL, map, PIXELS, 1, &region));
    ARGUMENT("map: is NULL", occlude_region_above(image, NULL, PIXELS, 1, &region));
    ARGUMENT("count: is 0, expected 50176", occlude_region_above(image, map, 0, 1, &region));
    REFUSED(OCCLUDE_ERROR_OPTION, "threshold 1.5", occlude_region_above(image, map, PIXELS, 1.5f, &region));
    CHECK(region == NULL && occlude_region_area(NULL) == 0 && occlude_region_parts(NULL) == 0);
    ARGUMENT("region: is NULL", occlude_region_size(NULL, box));
    ARGUMENT("region: is NULL", occlude_region_pixels(NULL, (unsigned char *)map, 1));
    ARGUMENT("region: is NULL", occlude_region_box(NULL, 0, box));
    ARGUMENT("region: is NULL", occlude_region_probabilities(NULL, 1, said, 1));
    occlude_region_free(NULL);
}

struct watch {
    size_t done, total, calls;
    atomic_int inside;
    atomic_int *started;
    int answer;
};

static int watch(size_t done, size_t total, void *user)
{
    struct watch *watch = user;
    CHECK(atomic_fetch_add(&watch->inside, 1) == 0);
    CHECK(done > watch->done && done <= total);
    watch->done = done;
    watch->total = total;
    watch->calls++;
    if (watch->started) {
        atomic_store(watch->started, 1);
    }
    atomic_fetch_sub(&watch->inside, 1);
    return watch->answer;
}

struct request {
    occlude_cancel *cancel;
    atomic_int started;
};

static void *cancel_when_started(void *user)
{
    struct request *request = user;
    while (!atomic_load(&request->started)) {
    }
    DO(occlude_cancel_request(request->cancel));
    return NULL;
}

static void *other_thread(void *user)
{
    /* The failures of the first thread are not this one's. */
    CHECK(strcmp(occlude_last_error(), "") == 0);
    ARGUMENT("cancel: is NULL", occlude_cancel_request(NULL));
    float *probabilities = malloc(CLASSES * sizeof *probabilities);
    void **handles = user;
    DO(occlude_classify(handles[0], handles[1], probabilities, CLASSES));
    return probabilities;
}

static unsigned char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    CHECK(file && fseek(file, 0, SEEK_END) == 0);
    *length = (size_t)ftell(file);
    unsigned char *bytes = malloc(*length);
    rewind(file);
    CHECK(bytes && fread(bytes, 1, *length, file) == *length);
    fclose(file);
    return bytes;
}

static void refusals(const occlude_network *network, const occlude_image *image, const occlude_maps *maps)
{
    static const unsigned char rgb[12];
    static float values[CLASSES];
    size_t sizes[4], one = 1, too_large = CLASSES;
    occlude_options *options;
    occlude_network *no_network = (void *)&one;
    occlude_image *no_image = (void *)&one;
    occlude_maps *no_maps = (void *)&one;
    DO(occlude_options_new(&options));

    ARGUMENT("path: is NULL", occlude_network_load(NULL, &no_network));
    CHECK(no_network == NULL);
    ARGUMENT("network: is NULL", occlude_network_load("x", NULL));
    REFUSED(OCCLUDE_ERROR_IO, "cannot read missing: ", occlude_network_load("missing", &no_network));
    /* A name that is not UTF-8, where the system has such names. */
    FILE *odd = fopen("odd\xff", "wb");
    if (odd) {
        fclose(odd);
        REFUSED(OCCLUDE_ERROR_WEIGHTS, "odd", occlude_network_load("odd\xff", &no_network));
    }
    ARGUMENT("bytes: is NULL", occlude_network_from_memory(NULL, 5, &no_network));
    ARGUMENT("bytes: cannot", occlude_network_from_memory(rgb, (size_t)-1, &no_network));
    REFUSED(OCCLUDE_ERROR_WEIGHTS, "the weights in memory: ", occlude_network_from_memory(rgb, 12, &no_network));
    REFUSED(OCCLUDE_ERROR_WEIGHTS, "the weights in memory: ", occlude_network_from_memory(rgb, 0, &no_network));
    CHECK(occlude_network_classes(NULL) == 0 && !occlude_label(NULL, 0) && !occlude_label(network, CLASSES));

    ARGUMENT("network: is NULL", occlude_network_labels(NULL, "a", 1));

    ARGUMENT("rgb: is NULL", occlude_image_from_rgb(NULL, 2, 2, 6, 0, &no_image));
    CHECK(no_image == NULL);
    ARGUMENT("image: is NULL", occlude_image_from_rgb(rgb, 2, 2, 6, 0, NULL));
    ARGUMENT("row_bytes: is 5,", occlude_image_from_rgb(rgb, 2, 2, 5, 0, &no_image));
    ARGUMENT("row_bytes: is 6,", occlude_image_from_rgb(rgb, 2, (size_t)-1, 6, 0, &no_image));
    ARGUMENT("height: is", occlude_image_from_rgb(rgb, (size_t)-1 / 6, 2, 6, 0, &no_image));
    ARGUMENT("resize: is 4,", occlude_image_from_rgb(rgb, 2, 2, 6, OCCLUDE_RESIZE_MATLAB + 1, &no_image));
    REFUSED(OCCLUDE_ERROR_IMAGE, "at least one pixel", occlude_image_from_rgb(rgb, 0, 2, 6, 0, &no_image));
    REFUSED(OCCLUDE_ERROR_IMAGE, "at least one pixel", occlude_image_from_rgb(rgb, 2, 0, 6, 0, &no_image));
    ARGUMENT("path: is NULL", occlude_image_open(NULL, 0, &no_image));
    ARGUMENT("resize: is -1,", occlude_image_open("missing", -1, &no_image));
    REFUSED(OCCLUDE_ERROR_IO, "missing", occlude_image_open("missing", 0, &no_image));

    ARGUMENT("network: is NULL", occlude_classify(NULL, image, values, CLASSES));
    ARGUMENT("image: is NULL", occlude_classify(network, NULL, values, CLASSES));
    ARGUMENT("probabilities: is NULL", occlude_classify(network, image, NULL, CLASSES));
    ARGUMENT("count: is 999, expected", occlude_classify(network, image, values, CLASSES - 1));

    ARGUMENT("network: is NULL", occlude_gradcam(NULL, image, &one, 1, values, 49));
    ARGUMENT("image: is NULL", occlude_gradcam(network, NULL, &one, 1, values, 49));
    ARGUMENT("classes: is NULL", occlude_gradcam(network, image, NULL, 1, values, 49));
    ARGUMENT("classes: cannot", occlude_gradcam(network, image, &one, (size_t)-1 / 8, values, 49));
    ARGUMENT("maps: is NULL", occlude_gradcam(network, image, &one, 1, NULL, 49));
    ARGUMENT("maps: has room for 48 values, expected 49", occlude_gradcam(network, image, &one, 1, values, 48));
    REFUSED(OCCLUDE_ERROR_OPTION, "class 1000", occlude_gradcam(network, image, &too_large, 1, values, 49));

    ARGUMENT("options: is NULL", occlude_options_new(NULL));
    ARGUMENT("options: is NULL", occlude_options_mask_size(NULL, 1, 1));
    ARGUMENT("options: is NULL", occlude_options_stride(NULL, 1, 1));
    ARGUMENT("options: is NULL", occlude_options_mask_auto(NULL));
    ARGUMENT("options: is NULL", occlude_options_mask_training_mean(NULL));
    ARGUMENT("options: is NULL", occlude_options_mask_rgb(NULL, 0, 0, 0));
    ARGUMENT("options: is NULL", occlude_options_mask_blur(NULL, 1));
    ARGUMENT("options: is NULL", occlude_options_mask_noise(NULL, 1));
    ARGUMENT("options: is NULL", occlude_options_mask_clipping(NULL, 1));
    ARGUMENT("options: is NULL", occlude_options_region(NULL, 0, 0, 1, 1));
    ARGUMENT("options: is NULL", occlude_options_classes(NULL, &one, 1));
    ARGUMENT("options: is NULL", occlude_options_top(NULL, 1));
    ARGUMENT("options: is NULL", occlude_options_score(NULL, 0));
    ARGUMENT("options: is NULL", occlude_options_exhaustive(NULL, 1));
    ARGUMENT("options: is NULL", occlude_options_threads(NULL, 1));
    ARGUMENT("options: is NULL", occlude_options_max_memory(NULL, 1));
    REFUSED(OCCLUDE_ERROR_OPTION, "number of threads 4096", occlude_options_threads(options, 4096));
    REFUSED(OCCLUDE_ERROR_OPTION, "mask value blur:0.1", occlude_options_mask_blur(options, 0.1f));
    ARGUMENT("classes: is NULL", occlude_options_classes(options, NULL, 1));
    ARGUMENT("classes: cannot", occlude_options_classes(options, &one, (size_t)-1 / 8));
    ARGUMENT("count: is 0", occlude_options_classes(options, &one, 0));
    ARGUMENT("count: is 0", occlude_options_top(options, 0));
    ARGUMENT("score: is 5", occlude_options_score(options, 5));
    ARGUMENT("options: is NULL", occlude_options_mask_patch(NULL));
    ARGUMENT("options: is NULL", occlude_options_mask_inpaint(NULL));
    ARGUMENT("options: is NULL", occlude_options_mask_picture(NULL, image));
    ARGUMENT("picture: is NULL", occlude_options_mask_picture(options, NULL));
    ARGUMENT("options: is NULL", occlude_options_mask_shape(NULL, 0));
    ARGUMENT("shape: is 3", occlude_options_mask_shape(options, 3));
    ARGUMENT("options: is NULL", occlude_options_mask_channel(NULL, 0));
    ARGUMENT("channel: is 4", occlude_options_mask_channel(options, 4));
    ARGUMENT("options: is NULL", occlude_options_inverse(NULL, 1));
    int32_t number = 1;
    ARGUMENT("options: is NULL", occlude_options_segments(NULL, &number, 1));
    ARGUMENT("numbers: is NULL", occlude_options_segments(options, NULL, 1));
    REFUSED(OCCLUDE_ERROR_IMAGE, "have 1 pixels, expected", occlude_options_segments(options, &number, 1));
    ARGUMENT("options: is NULL", occlude_options_contrast(NULL, 1, 0));
    ARGUMENT("options: is NULL", occlude_options_contrast_nearest(NULL, 1, 0));
    ARGUMENT("count: is 0", occlude_options_contrast_nearest(options, 0, 0));
    ARGUMENT("options: is NULL", occlude_options_group(NULL, &one, 1));
    ARGUMENT("classes: is NULL", occlude_options_group(options, NULL, 1));
    ARGUMENT("count: is 0", occlude_options_group(options, &one, 0));
    ARGUMENT("options: is NULL", occlude_options_wordnet_group(NULL, network, "dog"));
    ARGUMENT("network: is NULL", occlude_options_wordnet_group(options, NULL, "dog"));
    ARGUMENT("name: is NULL", occlude_options_wordnet_group(options, network, NULL));
    REFUSED(OCCLUDE_ERROR_OPTION, "did you mean dog", occlude_options_wordnet_group(options, network, "doge"));

    ARGUMENT("network: is NULL", occlude_explain(NULL, image, NULL, NULL, NULL, NULL, &no_maps));
    CHECK(no_maps == NULL);
    ARGUMENT("image: is NULL", occlude_explain(network, NULL, NULL, NULL, NULL, NULL, &no_maps));
    ARGUMENT("maps: is NULL", occlude_explain(network, image, NULL, NULL, NULL, NULL, NULL));
    OUT_OF_RANGE("mask size 0x225", occlude_options_mask_size(options, 0, 225));
    DO(occlude_options_mask_size(options, 45, 45));
    OUT_OF_RANGE("stride 0x1", occlude_options_stride(options, 0, 1));
    DO(occlude_options_stride(options, 22, 22));
    OUT_OF_RANGE("region 0,0,0,0", occlude_options_region(options, 0, 0, 0, 0));
    DO(occlude_options_region(options, 0, 0, OCCLUDE_SIDE, OCCLUDE_SIDE));
    OUT_OF_RANGE("class 1000", occlude_options_classes(options, &too_large, 1));
    OUT_OF_RANGE("number of most probable classes 1001", occlude_options_top(options, CLASSES + 1));
    DO(occlude_options_top(options, 1));
    OUT_OF_RANGE("max memory 0.1 MB (5 bytes)", occlude_options_max_memory(options, 5));

    ARGUMENT("maps: is NULL", occlude_maps_grid(NULL, sizes));
    ARGUMENT("grid: is NULL", occlude_maps_grid(maps, NULL));
    ARGUMENT("maps: is NULL", occlude_maps_area(NULL, sizes));
    ARGUMENT("area: is NULL", occlude_maps_area(maps, NULL));
    ARGUMENT("maps: is NULL", occlude_maps_mask_rect(NULL, 0, 0, sizes));
    ARGUMENT("rect: is NULL", occlude_maps_mask_rect(maps, 0, 0, NULL));
    ARGUMENT("row: is 11,", occlude_maps_mask_rect(maps, 11, 0, sizes));
    ARGUMENT("column: is 11,", occlude_maps_mask_rect(maps, 0, 11, sizes));
    CHECK(occlude_maps_count(NULL) == 0);
    ARGUMENT("maps: is NULL", occlude_maps_class(NULL, 0, sizes));
    ARGUMENT("k: is 1,", occlude_maps_class(maps, 1, sizes));
    ARGUMENT("class_index: is NULL", occlude_maps_class(maps, 0, NULL));
    ARGUMENT("maps: is NULL", occlude_maps_base_score(NULL, 0, values));
    ARGUMENT("k: is 1,", occlude_maps_base_score(maps, 1, values));
    ARGUMENT("score: is NULL", occlude_maps_base_score(maps, 0, NULL));
    ARGUMENT("maps: is NULL", occlude_maps_scores(NULL, 0, values, MOST));
    ARGUMENT("k: is 1,", occlude_maps_scores(maps, 1, values, MOST));
    ARGUMENT("scores: is NULL", occlude_maps_scores(maps, 0, NULL, MOST));
    ARGUMENT("scores: has room for 122 values, expected 121", occlude_maps_scores(maps, 0, values, MOST + 1));
    ARGUMENT("maps: is NULL", occlude_maps_map(NULL, 0, values, MOST));
    ARGUMENT("k: is 1,", occlude_maps_map(maps, 1, values, MOST));
    ARGUMENT("drops: is NULL", occlude_maps_map(maps, 0, NULL, MOST));
    ARGUMENT("drops: has room for 120 values", occlude_maps_map(maps, 0, values, MOST - 1));
    ARGUMENT("maps: is NULL", occlude_maps_upsampled(NULL, 0, values, MOST));
    ARGUMENT("k: is 1,", occlude_maps_upsampled(maps, 1, values, MOST));
    ARGUMENT("pixels: is NULL", occlude_maps_upsampled(maps, 0, NULL, MOST));
    ARGUMENT("pixels: has room for 121 values, expected 50176", occlude_maps_upsampled(maps, 0, values, MOST));
    ARGUMENT("maps: is NULL", occlude_maps_argmax(NULL, sizes, MOST));
    ARGUMENT("classes: is NULL", occlude_maps_argmax(maps, NULL, MOST));
    ARGUMENT("classes: has room for 4 values", occlude_maps_argmax(maps, sizes, 4));
    ARGUMENT("maps: is NULL", occlude_maps_argmax_scores(NULL, values, MOST));
    ARGUMENT("scores: is NULL", occlude_maps_argmax_scores(maps, NULL, MOST));
    ARGUMENT("scores: has room for 0 values", occlude_maps_argmax_scores(maps, values, 0));

    occlude_network_free(NULL);
    occlude_image_free(NULL);
    occlude_options_free(NULL);
    occlude_cancel_free(NULL);
    occlude_maps_free(NULL);
    occlude_options_free(options);
}

static void stopping(const occlude_network *network, const occlude_image *image)
{
    occlude_options *options;
    occlude_maps *maps;
    struct request request = {.cancel = NULL};
    /* Enough positions that none of these sweeps is done before it is stopped. */
    DO(occlude_options_new(&options));
    DO(occlude_options_stride(options, 2, 2));

    struct watch stop = {.answer = 1};
    REFUSED(OCCLUDE_ERROR_CANCELLED, "cancelled",
            occlude_explain(network, image, options, watch, &stop, NULL, &maps));
    CHECK(maps == NULL && stop.done < stop.total);

    ARGUMENT("cancel: is NULL", occlude_cancel_new(NULL));
    DO(occlude_cancel_new(&request.cancel));
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancel_when_started, &request) == 0);
    struct watch until = {.started = &request.started};
    REFUSED(OCCLUDE_ERROR_CANCELLED, "cancelled",
            occlude_explain(network, image, options, watch, &until, request.cancel, &maps));
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(maps == NULL && until.done < until.total);

    struct watch never = {.answer = 0};
    REFUSED(OCCLUDE_ERROR_CANCELLED, "cancelled",
            occlude_explain(network, image, options, watch, &never, request.cancel, &maps));
    CHECK(never.calls == 0);
    occlude_cancel_free(request.cancel);
    occlude_options_free(options);
}

/* Forms and fills of masks, and segments. */
static void masks(const occlude_network *network, const occlude_image *image) {
    static int32_t numbers[224 * 224];
    for (int at = 0; at < 224 * 224; at++)
        numbers[at] = at / 224 < 20 ? -1 : at % 224 / 60;
    for (int mask = 0; mask < 6; mask++) {
        occlude_options *options;
        occlude_maps *maps;
        DO(occlude_options_new(&options));
        DO(occlude_options_stride(options, 112, 112));
        DO(mask == 0   ? occlude_options_mask_patch(options)
           : mask == 1 ? occlude_options_mask_inpaint(options)
           : mask == 2 ? occlude_options_mask_picture(options, image)
           : mask == 3 ? occlude_options_mask_shape(options, OCCLUDE_SHAPE_GAUSSIAN)
           : mask == 4 ? occlude_options_inverse(options, 1)
                       : occlude_options_segments(options, numbers, 224 * 224));
        if (mask == 3)
            DO(occlude_options_mask_channel(options, OCCLUDE_CHANNEL_GREEN));
        DO(occlude_explain(network, image, options, NULL, NULL, NULL, &maps));
        print_maps("masks", maps);
        occlude_maps_free(maps);
        occlude_options_free(options);
    }
}

int main(int argc, char **argv)
{
    CHECK(argc == 3 && strcmp(occlude_last_error(), "") == 0);
    printf("version %s\n", occlude_version());

    occlude_network *network, *again;
    DO(occlude_network_load(argv[1], &network));
    CHECK(occlude_network_classes(network) == CLASSES);
    printf("label %s, %s\n", occlude_label(network, 281), occlude_label(network, CLASSES - 1));
    size_t length;
    unsigned char *bytes = read_file(argv[1], &length);
    DO(occlude_network_from_memory(bytes, length, &again));
    free(bytes);

    enum { PITCH = 3 * COLUMNS + PADDING };
    unsigned char *rgb = malloc(ROWS * PITCH);
    CHECK(rgb);
    memset(rgb, 255, ROWS * PITCH);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        size_t y = i / COLUMNS, x = i % COLUMNS;
        unsigned char pixel[3] = {(unsigned char)(x * 2), (unsigned char)(y * 4), (unsigned char)(i % 7 * 30)};
        memcpy(rgb + y * PITCH + 3 * x, pixel, 3);
    }
    static float probabilities[CLASSES];
    occlude_image *image;
    DO(occlude_image_open(argv[2], OCCLUDE_RESIZE_CENTER_CROP, &image));
    DO(occlude_classify(again, image, probabilities, CLASSES));
    print("opened", probabilities, CLASSES);
    occlude_image_free(image);
    DO(occlude_image_from_rgb(rgb, ROWS, COLUMNS, PITCH, OCCLUDE_RESIZE_CENTER_CROP, &image));
    DO(occlude_classify(network, image, probabilities, CLASSES));
    print("cropped", probabilities, CLASSES);
    occlude_image_free(image);
    DO(occlude_image_from_rgb(rgb, ROWS, COLUMNS, PITCH, OCCLUDE_RESIZE_PAD, &image));
    DO(occlude_classify(network, image, probabilities, CLASSES));
    print("padded", probabilities, CLASSES);
    occlude_image_free(image);
    image = NULL;
    DO(occlude_image_from_rgb(rgb, ROWS, COLUMNS, PITCH, OCCLUDE_RESIZE_MATLAB, &image));
    DO(occlude_classify(network, image, probabilities, CLASSES));
    print("as by MATLAB", probabilities, CLASSES);
    occlude_image_free(image);
    DO(occlude_image_from_rgb(rgb, ROWS, COLUMNS, PITCH, OCCLUDE_RESIZE_STRETCH, &image));
    free(rgb);
    DO(occlude_classify(again, image, probabilities, CLASSES));
    occlude_network_free(again);
    print("stretched", probabilities, CLASSES);

    occlude_maps *maps;
    struct watch whole = {.answer = 0};
    DO(occlude_explain(network, image, NULL, watch, &whole, NULL, &maps));
    CHECK(whole.done == MOST && whole.total == MOST && whole.calls > 1);
    print_maps("defaults", maps);
    refusals(network, image, maps);
    regions(network, image, maps);
    occlude_maps_free(maps);
    stopping(network, image);

    occlude_options *options;
    size_t classes[2] = {3, 999};
    DO(occlude_options_new(&options));
    DO(occlude_options_mask_size(options, 60, 50));
    DO(occlude_options_stride(options, 56, 75));
    DO(occlude_options_mask_rgb(options, 10, 200, 90.5f));
    DO(occlude_options_mask_clipping(options, 0));
    DO(occlude_options_region(options, 0, 40, 200, 224));
    DO(occlude_options_classes(options, classes, 2));
    DO(occlude_options_score(options, OCCLUDE_SCORE_LOGIT));
    DO(occlude_options_threads(options, 2));
    DO(occlude_options_max_memory(options, (size_t)1 << 30));
    DO(occlude_explain(network, image, options, NULL, NULL, NULL, &maps));
    print_maps("options", maps);
    occlude_maps_free(maps);
    occlude_options_free(options);

    DO(occlude_options_new(&options));
    DO(occlude_options_stride(options, 112, 112));
    DO(occlude_options_exhaustive(options, 1));
    DO(occlude_options_top(options, 2));
    for (int mask = 0; mask < 4; mask++) {
        DO(mask == 0   ? occlude_options_mask_training_mean(options)
           : mask == 1 ? occlude_options_mask_blur(options, 2.5f)
           : mask == 2 ? occlude_options_mask_noise(options, 7)
                       : occlude_options_mask_auto(options));
        DO(occlude_explain(network, image, options, NULL, NULL, NULL, &maps));
        print_maps("mask", maps);
        occlude_maps_free(maps);
    }
    masks(network, image);
    classes[1] = 7;
    for (int score = 0; score < 7; score++) {
        if (score == 5)
            DO(occlude_options_top(options, 1));
        DO(score == 0   ? occlude_options_contrast(options, 3, 0)
           : score == 1 ? occlude_options_contrast_nearest(options, 2, 1)
           : score == 2 ? occlude_options_score(options, OCCLUDE_SCORE_MARGIN)
           : score == 3 ? occlude_options_score(options, OCCLUDE_SCORE_LOGIT_MARGIN)
           : score == 4 ? occlude_options_contrast(options, 3, 1)
           : score == 5 ? occlude_options_score(options, OCCLUDE_SCORE_ENTROPY)
                        : occlude_options_group(options, classes, 2));
        DO(occlude_explain(network, image, options, NULL, NULL, NULL, &maps));
        print_maps("score", maps);
        occlude_maps_free(maps);
    }
    DO(occlude_options_wordnet_group(options, network, "dog"));
    DO(occlude_explain(network, image, options, NULL, NULL, NULL, &maps));
    print_maps("score", maps);
    occlude_maps_free(maps);
    classes[1] = 999;
    occlude_options_free(options);

    static float cams[2 * 49];
    DO(occlude_gradcam(network, image, classes, 2, cams, 2 * 49));
    print("gradcam", cams, 2 * 49);

    /* Names of one's own, of which one is missing at first. */
    char *names = malloc(CLASSES * 32);
    CHECK(names);
    size_t end = 0, before = 0;
    for (int i = 0; i < CLASSES; i++) {
        before = end;
        end += (size_t)sprintf(names + end, "name %d, other\n", i);
    }
    ARGUMENT("names: is NULL", occlude_network_labels(network, NULL, 1));
    REFUSED(OCCLUDE_ERROR_LABELS, "has 999 names, expected", occlude_network_labels(network, names, before));
    REFUSED(OCCLUDE_ERROR_LABELS, "line 1 is not UTF-8", occlude_network_labels(network, "\xff", 1));
    CHECK(strcmp(occlude_label(network, 281), "tabby") == 0);
    DO(occlude_network_labels(network, names, end));
    free(names);
    printf("label %s, %s\n", occlude_label(network, 281), occlude_label(network, CLASSES - 1));

    pthread_t threads[2];
    void *handles[2] = {network, image};
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(threads + i, NULL, other_thread, handles) == 0);
    }
    for (int i = 0; i < 2; i++) {
        void *found;
        CHECK(pthread_join(threads[i], &found) == 0 && found);
        CHECK(memcmp(found, probabilities, sizeof probabilities) == 0);
        free(found);
    }
    occlude_image_free(image);
    occlude_network_free(network);
    return 0;
}
