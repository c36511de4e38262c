/* occlude: GoogLeNet from scratch that explains its classifications by occlusion sensitivity. The C interface.
 *
 * The library is made from the repository, as a shared and a static one, target/release/libocclude.so and libocclude.a, by
 *
 *     cargo rustc --release --lib --no-default-features --features rayon,image,capi --crate-type cdylib,staticlib
 *
 *     cc -I src/capi program.c target/release/libocclude.so -Wl,-rpath,$PWD/target/release
 *     cc -I src/capi program.c target/release/libocclude.a -lpthread -ldl -lm
 *
 * Without the feature `image` occlude_image_open opens nothing, without `rayon` all work is done by the calling thread, with
 * `all-formats` more kinds of pictures are opened. examples/c/explain.c is a whole program, examples/python/explain.py the same
 * from Python.
 *
 * Results. A function that can fail returns an occlude_status, 0 when it has done what it says. Then and only then it has written
 * its results, except that a handle is set to NULL first: what it points to need not be set before. Nothing is printed, and no
 * failure ends the program, except that the system has no memory left.
 *
 * Handles. What occlude_X_new, _load, _open or another function with occlude_X ** makes belongs to the caller and is given
 * back by occlude_X_free, once; NULL is allowed there. Everything else that is passed in remains the caller's and is not kept
 * beyond the call; an image, a network and the options may be freed while maps made with them live. NULL for anything else, but
 * for what is named "or NULL", is OCCLUDE_ERROR_ARGUMENT; so is a length that is not the one that is asked for.
 *
 * Threads. There is no global state but the pool of threads, which rayon starts when it is first used (as many as processors,
 * or $RAYON_NUM_THREADS). Handles may be passed between threads. Any number of them may use one network, image, options or maps at
 * the same time, as long as none changes (occlude_options_*) or frees it. After fork() the child cannot use the library.
 *
 * Bits. All numbers are the same, bit for bit, on every machine, on any number of threads. $OCCLUDE_ISA (scalar, avx2, avx512)
 * chooses an instruction set when a network is made; without it, it is the fastest that the machine has.
 *
 * Values that are indexed by position are in row order: element (row, column) is [row * nx + column].
 */
#ifndef OCCLUDE_H
#define OCCLUDE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Height and width of what the network sees, in pixels. */
#define OCCLUDE_SIDE 224

/* What functions return. occlude_last_error says the rest. */
enum occlude_status {
    OCCLUDE_OK = 0,
    /* A file could not be read. */
    OCCLUDE_ERROR_IO = 1,
    /* A file or pixels are not a picture that can be used. */
    OCCLUDE_ERROR_IMAGE = 2,
    /* A weights file is not this network's. */
    OCCLUDE_ERROR_WEIGHTS = 3,
    /* A file of class names cannot be used. */
    OCCLUDE_ERROR_LABELS = 4,
    /* No weights file was found. */
    OCCLUDE_ERROR_WEIGHTS_NOT_FOUND = 5,
    /* An option has a value outside its range. */
    OCCLUDE_ERROR_OPTION = 6,
    /* No class has this name. */
    OCCLUDE_ERROR_UNKNOWN_CLASS = 7,
    /* occlude_cancel_request or the progress function asked to stop. */
    OCCLUDE_ERROR_CANCELLED = 8,
    /* An argument is NULL, has another length than expected, or is no constant of its enum. */
    OCCLUDE_ERROR_ARGUMENT = 100,
    /* The library was built without the feature that this needs. */
    OCCLUDE_ERROR_UNSUPPORTED = 101,
    /* A mistake in the library, which please report. What the call was given is unharmed. */
    OCCLUDE_ERROR_PANIC = 102
};

/* How a picture of any shape becomes a square. */
enum occlude_resize {
    /* The whole picture, its sides scaled independently. */
    OCCLUDE_RESIZE_STRETCH = 0,
    /* The shorter side becomes 256 pixels, the longer one in proportion; of that the central 224x224. */
    OCCLUDE_RESIZE_CENTER_CROP = 1
};

/* Which number of the network a map follows. */
enum occlude_score {
    /* The class's probability after softmax, 0 to 1. */
    OCCLUDE_SCORE_PROBABILITY = 0,
    /* The class's logit, before softmax, unbounded. */
    OCCLUDE_SCORE_LOGIT = 1
};

/* A network with its weights, ready to run. About 30 MB. */
typedef struct occlude_network occlude_network;
/* A picture as the network sees it. */
typedef struct occlude_image occlude_image;
/* How to explain. */
typedef struct occlude_options occlude_options;
/* Stops explanations from outside. */
typedef struct occlude_cancel occlude_cancel;
/* An explanation. */
typedef struct occlude_maps occlude_maps;

/* The library's version, as in "0.1.0". */
const char *occlude_version(void);

/* Why the last function that failed on this thread did: the input, what was expected, what was found and what to do, in UTF-8.
 * "" if none has. Valid until the next function fails on this thread or the thread ends. */
const char *occlude_last_error(void);

/* ---- The network ---- */

/* Reads a weights file of any form: safetensors (BVLC's, torchvision's), caffemodel, ONNX; with the feature `pth`, .pth. Its
 * content decides, not its name. With the feature `builtin`, "builtin" is the network inside the library.
 * The path is the system's on Unix, UTF-8 elsewhere.
 * OCCLUDE_ERROR_IO, OCCLUDE_ERROR_WEIGHTS; OCCLUDE_ERROR_OPTION if $OCCLUDE_ISA is unusable. */
int occlude_network_load(const char *path, occlude_network **network);

/* The same from the bytes of such a file, which are not needed afterwards. */
int occlude_network_from_memory(const void *bytes, size_t length, occlude_network **network);

void occlude_network_free(occlude_network *network);

/* How many classes it has: 1000 for the published weights. 0 for NULL. */
size_t occlude_network_classes(const occlude_network *network);

/* A class's name in UTF-8: ImageNet's if there are 1000 classes, else "class 0" and so on. NULL for a class that it does not have.
 * It belongs to the network and lives as long. */
const char *occlude_label(const occlude_network *network, size_t class_index);

/* ---- Pictures ---- */

/* Takes pixels: `height` rows of `width` pixels, red, green, blue, a byte each, with `row_bytes` (at least 3 * width) from one row's
 * start to the next one's. `resize` is an occlude_resize; the interpolation is antialiased bicubic. The pixels are not needed
 * afterwards. OCCLUDE_ERROR_IMAGE if there are none. */
int occlude_image_from_rgb(const uint8_t *rgb, size_t height, size_t width, size_t row_bytes, int resize,
                           occlude_image **image);

/* Opens a file: PNG or JPEG, with the feature `all-formats` WebP, BMP, GIF and TIFF, too; turned upright, at most 100 megapixels.
 * OCCLUDE_ERROR_IO, OCCLUDE_ERROR_IMAGE; OCCLUDE_ERROR_UNSUPPORTED if the library was built without the feature `image`. */
int occlude_image_open(const char *path, int resize, occlude_image **image);

void occlude_image_free(occlude_image *image);

/* ---- Classification ---- */

/* The probability of each class. `count` must be occlude_network_classes. */
int occlude_classify(const occlude_network *network, const occlude_image *image, float *probabilities,
                     size_t count);

/* ---- Options ---- */

/* Options with their defaults, which each of the following changes. Numbers outside their range are refused when they are used, by
 * occlude_explain, before anything is computed. */
int occlude_options_new(occlude_options **options);

void occlude_options_free(occlude_options *options);

/* Height and width of the mask in pixels, each 1 to 224. 45 x 45. */
int occlude_options_mask_size(occlude_options *options, size_t height, size_t width);

/* Step between masks in pixels, each 1 to 224. 22 x 22. */
int occlude_options_stride(occlude_options *options, size_t down, size_t across);

/* What the mask is filled with, the last one that is set. It is the mean of each channel of the picture (auto); */
int occlude_options_mask_auto(occlude_options *options);

/* the mean of ImageNet's pictures; */
int occlude_options_mask_training_mean(occlude_options *options);

/* a colour, each channel 0 to 255, or beyond if finite (else OCCLUDE_ERROR_OPTION at once); */
int occlude_options_mask_rgb(occlude_options *options, float red, float green, float blue);

/* the picture itself, blurred by a Gaussian with a standard deviation of 0.5 to 100 pixels (else OCCLUDE_ERROR_OPTION at once); */
int occlude_options_mask_blur(occlude_options *options, float sigma);

/* or noise, all levels equally likely, that follows from a seed. */
int occlude_options_mask_noise(occlude_options *options, uint64_t seed);

/* Not 0: masks are centred at 0, stride, 2 stride and so on, and clipped at the border. 0: the first mask lies in the corner and every
 * mask is whole. On. */
int occlude_options_mask_clipping(occlude_options *options, int on);

/* Only masks with their centre in the rows y0 to y1 and the columns x0 to x1, without y1 and x1. 0, 0, 224, 224. */
int occlude_options_region(occlude_options *options, size_t y0, size_t x0, size_t y1, size_t x1);

/* The classes to map, a map each, in this order; more take no longer. Without this and the next, the most probable one. */
int occlude_options_classes(occlude_options *options, const size_t *classes, size_t count);

/* Instead: the so many most probable classes of the picture, the most probable first. */
int occlude_options_top(occlude_options *options, size_t count);

/* An occlude_score. OCCLUDE_SCORE_PROBABILITY. */
int occlude_options_score(occlude_options *options, int score);

/* Not 0: compute the whole network at each position, not only what the mask can have changed; the same bits, slower. Off. */
int occlude_options_exhaustive(occlude_options *options, int on);

/* How many threads to start for the explanation alone; 0 for the pool that all share. 0. */
int occlude_options_threads(occlude_options *options, size_t count);

/* The most memory that the explanation may take while it runs, in bytes, beside the network and the result: where it would take
 * more, fewer positions go side by side and fewer threads work. The bits are the same. No bound. */
int occlude_options_max_memory(occlude_options *options, size_t bytes);

/* ---- Explanation ---- */

/* Told how many mask positions of how many are done, and the pointer that occlude_explain was given; returns 0 to go on, anything
 * else to stop. It is called from threads of the library, never from two at once, with `done` rising. It may call
 * occlude_cancel_request and nothing else of the library. It must return: no longjmp, no C++ exception. */
typedef int (*occlude_progress)(size_t done, size_t total, void *user);

/* Makes a handle that stops explanations. */
int occlude_cancel_new(occlude_cancel **cancel);

/* From any thread, a signal handler among them: explanations that were given the handle end within milliseconds with
 * OCCLUDE_ERROR_CANCELLED, and later ones at once. */
int occlude_cancel_request(const occlude_cancel *cancel);

/* Not while an explanation that was given it runs. */
void occlude_cancel_free(occlude_cancel *cancel);

/* Slides a mask over the picture and records what the network says: see occlude_maps_map.
 * Returns when it is done. `options`, `progress`, `user` and `cancel` may be NULL.
 * OCCLUDE_ERROR_OPTION, OCCLUDE_ERROR_CANCELLED. */
int occlude_explain(const occlude_network *network, const occlude_image *image, const occlude_options *options,
                    occlude_progress progress, void *user, const occlude_cancel *cancel, occlude_maps **maps);

void occlude_maps_free(occlude_maps *maps);

/* Rows and columns of mask positions, ny and nx. */
int occlude_maps_grid(const occlude_maps *maps, size_t grid[2]);

/* The part of the 224x224 pixels that the grid stands for: y0, x0, y1, x1; all of them without a region. */
int occlude_maps_area(const occlude_maps *maps, size_t area[4]);

/* The pixels that the mask at a position covered: rows y0 to y1, columns x0 to x1, as y0, x0, y1, x1. */
int occlude_maps_mask_rect(const occlude_maps *maps, size_t row, size_t column, size_t rect[4]);

/* How many classes there are maps of. 0 for NULL. */
size_t occlude_maps_count(const occlude_maps *maps);

/* The k-th of them, k from 0 on. */
int occlude_maps_class(const occlude_maps *maps, size_t k, size_t *class_index);

/* Its score on the picture as it is. */
int occlude_maps_base_score(const occlude_maps *maps, size_t k, float *score);

/* Its score with the mask at each position: `count` is ny * nx. */
int occlude_maps_scores(const occlude_maps *maps, size_t k, float *scores, size_t count);

/* How far that is below the score on the picture as it is: positive where the picture holds evidence for the class. `count` is
 * ny * nx. */
int occlude_maps_map(const occlude_maps *maps, size_t k, float *drops, size_t count);

/* The same, enlarged to the pixels of the area by bicubic interpolation: `count` is its height times its width, 224 * 224 without
 * a region. */
int occlude_maps_upsampled(const occlude_maps *maps, size_t k, float *pixels, size_t count);

/* The most probable of all classes with the mask at each position: `count` is ny * nx. */
int occlude_maps_argmax(const occlude_maps *maps, size_t *classes, size_t count);

/* Its score. */
int occlude_maps_argmax_scores(const occlude_maps *maps, float *scores, size_t count);

#ifdef __cplusplus
}
#endif

#endif
