/* The C interface of occlude, a GoogLeNet that explains its classifications by occlusion
 * sensitivity.
 *
 * tools/install.sh builds and installs the header, the shared and the static library, and a file for
 * pkg-config:
 *
 *     cc program.c $(pkg-config --cflags --libs occlude)
 *
 * The following commands do without an installation:
 *
 *     cargo rustc --release --lib --no-default-features --features rayon,image,capi --crate-type cdylib,staticlib
 *
 *     cc -I src/capi program.c -L target/release -locclude -Wl,-rpath,$PWD/target/release
 *     cc -I src/capi program.c target/release/libocclude.a -lpthread -ldl -lm
 *
 * Without the feature `image`, occlude_image_open fails; `all-formats` adds WebP, BMP, GIF and TIFF.
 * Without `rayon`, all work is done on the calling thread. The installed library has all features.
 * examples/c/explain.c is a complete program.
 *
 * Results. A function that can fail returns an occlude_status; 0 is success. Results are written on
 * success only, except that a handle is set to NULL first, so the locations for results need not be
 * initialised. The library prints nothing. A failure never ends the program, unless the system has
 * no memory left.
 *
 * Handles. The caller owns the handles that occlude_X_new, _load, _open and other functions with an
 * occlude_X ** argument create, and frees each once with occlude_X_free, which accepts NULL. The
 * library keeps no other argument beyond the call. An image, a network and options may be freed
 * before the maps made with them. Any other NULL is OCCLUDE_ERROR_ARGUMENT, unless the function
 * accepts "NULL" explicitly; so is an array length other than the required one.
 *
 * Threads. The only global state is rayon's thread pool, which starts at its first use with one
 * thread for each processor, or with $RAYON_NUM_THREADS, at most 1024. Where no thread can be started,
 * the calling thread does all work. Handles may be passed between threads. Any
 * number of threads may use the same network, image, options or maps at the same time, as long as
 * none of them changes (occlude_options_*) or frees it. After fork(), the child cannot use the
 * library.
 *
 * Bits. All results are the same, bit for bit, on every machine and for every number of threads.
 * $OCCLUDE_ISA (scalar, avx2, avx512, neon) selects the instruction set of a network when it is
 * created; the default is the fastest one of the machine.
 *
 * Arrays over positions are in row order: element (row, column) is [row * nx + column].
 */
#ifndef OCCLUDE_H
#define OCCLUDE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Height and width of the network's input in pixels. */
#define OCCLUDE_SIDE 224

/* The status that functions return. occlude_last_error returns the details. */
enum occlude_status {
    OCCLUDE_OK = 0,
    /* A file could not be read. */
    OCCLUDE_ERROR_IO = 1,
    /* A file, or pixels in memory, cannot be used as a picture. */
    OCCLUDE_ERROR_IMAGE = 2,
    /* A weights file does not hold a network of this library, or is damaged. */
    OCCLUDE_ERROR_WEIGHTS = 3,
    /* A file of class names cannot be used. */
    OCCLUDE_ERROR_LABELS = 4,
    /* No weights file was found. */
    OCCLUDE_ERROR_WEIGHTS_NOT_FOUND = 5,
    /* An option has a value outside its range. */
    OCCLUDE_ERROR_OPTION = 6,
    /* No class has this name. */
    OCCLUDE_ERROR_UNKNOWN_CLASS = 7,
    /* occlude_cancel_request or the progress function cancelled the explanation. */
    OCCLUDE_ERROR_CANCELLED = 8,
    /* Memory is not available. */
    OCCLUDE_ERROR_MEMORY = 9,
    /* An argument is NULL, has the wrong length, or is not a constant of its enum. */
    OCCLUDE_ERROR_ARGUMENT = 100,
    /* The library was built without the feature that this function needs. */
    OCCLUDE_ERROR_UNSUPPORTED = 101,
    /* A bug in the library; please report it. The arguments of the call remain usable. */
    OCCLUDE_ERROR_PANIC = 102
};

/* The way in which a picture of any shape becomes a square. */
enum occlude_resize {
    /* Scales the whole picture to 224x224, each axis on its own. */
    OCCLUDE_RESIZE_STRETCH = 0,
    /* Scales the shorter side to 256 pixels, the longer one in proportion, and cuts out the central
     * 224x224 pixels. */
    OCCLUDE_RESIZE_CENTER_CROP = 1,
    /* Scales the longer side to 224 pixels, the shorter one in proportion, and fills the rest with the
     * mean colour of the picture. */
    OCCLUDE_RESIZE_PAD = 2,
    /* As OCCLUDE_RESIZE_STRETCH, with the levels of MATLAB's imresize. */
    OCCLUDE_RESIZE_MATLAB = 3
};

/* The score of a class that a map is made of. */
enum occlude_score {
    /* The probability after softmax, 0 to 1. */
    OCCLUDE_SCORE_PROBABILITY = 0,
    /* The logit before softmax, unbounded. */
    OCCLUDE_SCORE_LOGIT = 1,
    /* The probability of the class minus that of the most probable other class at each position, -1 to 1. */
    OCCLUDE_SCORE_MARGIN = 2,
    /* The same of logits, unbounded. */
    OCCLUDE_SCORE_LOGIT_MARGIN = 3,
    /* The entropy of all probabilities in nats. It has one map, whatever the class is. */
    OCCLUDE_SCORE_ENTROPY = 4
};

/* The form of a mask within its height and width. */
enum occlude_shape {
    /* All of it. */
    OCCLUDE_SHAPE_RECTANGLE = 0,
    OCCLUDE_SHAPE_ELLIPSE = 1,
    /* A soft border: the middle is covered wholly and the corners hardly. A standard deviation is a quarter of
     * the mask's height or width. */
    OCCLUDE_SHAPE_GAUSSIAN = 2
};

/* The colour channels that a mask covers. */
enum occlude_channel {
    OCCLUDE_CHANNELS_ALL = 0,
    OCCLUDE_CHANNEL_RED = 1,
    OCCLUDE_CHANNEL_GREEN = 2,
    OCCLUDE_CHANNEL_BLUE = 3
};

/* A network with its weights. It takes about 30 MB. */
typedef struct occlude_network occlude_network;
/* A picture as the network's input, 0.6 MB. It keeps the size of the photograph, but not its pixels. */
typedef struct occlude_image occlude_image;
/* The options of an explanation. */
typedef struct occlude_options occlude_options;
/* A flag that cancels explanations. */
typedef struct occlude_cancel occlude_cancel;
/* The result of an explanation. */
typedef struct occlude_maps occlude_maps;
/* A set of pixels of the photograph. It takes a byte for each pixel of the photograph. */
typedef struct occlude_region occlude_region;

/* Returns the version of the library, for example "0.1.0". */
const char *occlude_version(void);

/* Returns the message of the last failure on this thread in UTF-8: the input, what was found, what
 * was expected and what to do. Returns "" if there was none. The text is valid until the next failure
 * on this thread or the end of the thread. Names of files and in files are on one line, without control
 * characters, and shortened if they are long. */
const char *occlude_last_error(void);

/* ---- The network ---- */

/* Reads a weights file: safetensors (BVLC's or torchvision's), caffemodel, ONNX, and .pth with the
 * feature `pth`. The content of the file determines its form, not its name. With the feature
 * `builtin`, the path "builtin" is the network inside the library. Paths are bytes on Unix and UTF-8
 * elsewhere.
 * Errors: OCCLUDE_ERROR_IO, OCCLUDE_ERROR_WEIGHTS, and OCCLUDE_ERROR_OPTION if $OCCLUDE_ISA is
 * invalid. */
int occlude_network_load(const char *path, occlude_network **network);

/* Reads the bytes of a weights file. They are not needed after the call. */
int occlude_network_from_memory(const void *bytes, size_t length, occlude_network **network);

void occlude_network_free(occlude_network *network);

/* Returns the number of classes: 1000 for the published weights, 0 for NULL. */
size_t occlude_network_classes(const occlude_network *network);

/* Replaces the names of the classes. `names` is a text of `length` bytes in UTF-8 with a line for each
 * class, which has its names, separated by ", ", and before them, optionally, its WordNet id. Call it
 * before other threads use the network; texts of occlude_label are invalid afterwards.
 * Errors: OCCLUDE_ERROR_LABELS, also if there is not one line for each class. */
int occlude_network_labels(occlude_network *network, const char *names, size_t length);

/* Returns the first name of a class in UTF-8: from occlude_network_labels or the weights file, else ImageNet's if there are 1000
 * classes, else "class 0" and so on; NULL if there is no such class. The text belongs to the network
 * and is valid as long as the network. */
const char *occlude_label(const occlude_network *network, size_t class_index);

/* ---- Pictures ---- */

/* Resizes pixels by antialiased bicubic interpolation. `rgb` points to `height` rows of `width`
 * pixels of three bytes, red, green, blue; consecutive rows begin `row_bytes` (at least 3 * width)
 * bytes apart. `resize` is an occlude_resize. The pixels are not needed after the call.
 * Errors: OCCLUDE_ERROR_IMAGE if there are no pixels. */
int occlude_image_from_rgb(const uint8_t *rgb, size_t height, size_t width, size_t row_bytes, int resize,
                           occlude_image **image);

/* Opens a picture file of at most 100 megapixels and turns it upright: PNG or JPEG, with the feature
 * `all-formats` also WebP, BMP, GIF and TIFF.
 * Errors: OCCLUDE_ERROR_IO, OCCLUDE_ERROR_IMAGE, and OCCLUDE_ERROR_UNSUPPORTED if the library was
 * built without the feature `image`. */
int occlude_image_open(const char *path, int resize, occlude_image **image);

void occlude_image_free(occlude_image *image);

/* ---- Classification ---- */

/* Computes the probability of each class. `count` must be occlude_network_classes. */
int occlude_classify(const occlude_network *network, const occlude_image *image, float *probabilities,
                     size_t count);

/* Computes a Grad-CAM map for each of `count` classes. A map has 7 rows of 7 values, not negative; they
 * stand for the 32x32 pixels of the picture at their place. `values` must be 49 * count.
 * Errors: OCCLUDE_ERROR_OPTION if there is no such class. */
int occlude_gradcam(const occlude_network *network, const occlude_image *image, const size_t *classes,
                    size_t count, float *maps, size_t values);

/* ---- Learning other classes ---- */

/* Returns the number of features of a picture: 1024 for the published weights, 0 for NULL. */
size_t occlude_features_count(const occlude_network *network);

/* Computes the features of a picture: the pooled activations that the last layer of the network reads.
 * `count` must be occlude_features_count. */
int occlude_features(const occlude_network *network, const occlude_image *image, float *features, size_t count);

/* Makes a network for other classes: a copy whose last layer has learned from the features of photographs
 * (occlude_features of the same network). Each photograph has `views` rows of features, one after the
 * other: of itself and, with more than 1, of its mirror image or of parts. `values` must be `photographs` *
 * `views` * occlude_features_count. `targets` has the class of each photograph, 0 to `classes` - 1; every
 * class needs photographs. `l2` is the strength of the regularisation, above 0. With 0 it is chosen by
 * cross-validation, for which every class needs 2 photographs. The classes are named "class 0" and so on;
 * occlude_network_labels gives them other names. `network` may be freed before `learned`.
 * Errors: OCCLUDE_ERROR_OPTION if there are fewer than 2 classes, a class outside their range, a number
 * that is infinite or NaN; OCCLUDE_ERROR_MEMORY. */
int occlude_network_learn(const occlude_network *network, const float *features, size_t values, size_t views,
                          const size_t *targets, size_t photographs, size_t classes, double l2,
                          occlude_network **learned);

/* ---- Options ---- */

/* Creates options with default values. Each of the following functions sets one of them. Unless
 * stated otherwise, occlude_explain checks the ranges before it computes anything. */
int occlude_options_new(occlude_options **options);

void occlude_options_free(occlude_options *options);

/* Sets the height and width of the mask in pixels, each 1 to 224. Default: 45, 45. */
int occlude_options_mask_size(occlude_options *options, size_t height, size_t width);

/* Sets the distance between masks in pixels, each 1 to 224. Default: 22, 22. */
int occlude_options_stride(occlude_options *options, size_t down, size_t across);

/* The next five functions set the content of the mask; the last call counts.
 *
 * Fills the mask with the mean of each channel over the picture (the default). */
int occlude_options_mask_auto(occlude_options *options);

/* Fills the mask with the mean of ImageNet. */
int occlude_options_mask_training_mean(occlude_options *options);

/* Fills the mask with a colour. Levels are usually 0 to 255; all finite values are accepted, others
 * are OCCLUDE_ERROR_OPTION at once. */
int occlude_options_mask_rgb(occlude_options *options, float red, float green, float blue);

/* Fills the mask with the picture, blurred by a Gaussian with a standard deviation of `sigma` pixels.
 * Values outside 0.5 to 100 are OCCLUDE_ERROR_OPTION at once. */
int occlude_options_mask_blur(occlude_options *options, float sigma);

/* Fills the mask with noise of uniformly distributed levels, generated from a seed. */
int occlude_options_mask_noise(occlude_options *options, uint64_t seed);

/* Fills each mask with the mean colour of the pixels that it covers. */
int occlude_options_mask_patch(occlude_options *options);

/* Fills each mask with the picture around it, continued inwards by diffusion. */
int occlude_options_mask_inpaint(occlude_options *options);

/* Fills masks with the same place of another picture, which is copied. */
int occlude_options_mask_picture(occlude_options *options, const occlude_image *picture);

/* Sets the form of the mask, an occlude_shape. Default: OCCLUDE_SHAPE_RECTANGLE. */
int occlude_options_mask_shape(occlude_options *options, int shape);

/* Sets the channels that are covered, an occlude_channel. Default: OCCLUDE_CHANNELS_ALL. */
int occlude_options_mask_channel(occlude_options *options, int channel);

/* If nonzero, everything except the mask is covered. The map of a class is then the score where only the
 * mask shows the picture, minus the score of the wholly covered picture. Default: 0. */
int occlude_options_inverse(occlude_options *options, int on);

/* Covers segments of the picture, one after the other, in place of a mask that slides. `numbers` has a number
 * for each pixel of the network's picture, row by row; pixels of the same number are a segment, and those of
 * a negative number are never covered. `count` is 224 * 224. The maps have one row, in which the columns are
 * the segments by ascending number. Mask size, stride, form, clipping and region have no effect. */
int occlude_options_segments(occlude_options *options, const int32_t *numbers, size_t count);

/* If nonzero, masks are centred at 0, stride, 2 * stride and so on, and clipped at the border. If 0,
 * the first mask lies in the corner and no mask is clipped. Default: nonzero. */
int occlude_options_mask_clipping(occlude_options *options, int on);

/* Restricts the mask centres to the rows y0 to y1 - 1 and the columns x0 to x1 - 1.
 * Default: 0, 0, 224, 224. */
int occlude_options_region(occlude_options *options, size_t y0, size_t x0, size_t y1, size_t x1);

/* Sets the classes, each of which gets one map, in this order. More classes take no more time.
 * Default: the most probable class. */
int occlude_options_classes(occlude_options *options, const size_t *classes, size_t count);

/* Selects the `count` most probable classes of the picture, the most probable first. This replaces
 * occlude_options_classes and vice versa. */
int occlude_options_top(occlude_options *options, size_t count);

/* Sets the score, an occlude_score. Default: OCCLUDE_SCORE_PROBABILITY. */
int occlude_options_score(occlude_options *options, int score);

/* Sets the score to the probability of the class minus that of another class; of logits, if `logits` is not
 * 0. This replaces occlude_options_score, and so do the next three functions. */
int occlude_options_contrast(occlude_options *options, size_t class_index, int logits);

/* Sets the score to the probability of the class minus the mean of the `count` other classes with the
 * largest logits for the unmasked picture; of logits, if `logits` is not 0. */
int occlude_options_contrast_nearest(occlude_options *options, size_t count, int logits);

/* Sets the score to the sum of the probabilities of some classes. It has one map, whatever the class is. */
int occlude_options_group(occlude_options *options, const size_t *classes, size_t count);

/* Sets the score to the sum of the probabilities of the network's classes below a node of WordNet 3.0, such
 * as "dog" or "vehicle"; `name` is one of its names, or its id. */
int occlude_options_wordnet_group(occlude_options *options, const occlude_network *network, const char *name);

/* If nonzero, the whole network is computed at each position, not only the part that the mask can
 * change. The results have the same bits; it takes longer. Default: 0. */
int occlude_options_exhaustive(occlude_options *options, int on);

/* Sets the number of threads for the explanation, at most 1024, of which at most four for each core
 * are started. With 0 it uses the pool that all explanations share. Default: 0. */
int occlude_options_threads(occlude_options *options, size_t count);

/* Limits the memory in bytes that the explanation may allocate while it runs, in addition to the
 * network and the result. To stay below the limit, fewer positions are computed together and fewer
 * threads are used; the results have the same bits. Default: no limit. */
int occlude_options_max_memory(occlude_options *options, size_t bytes);

/* ---- Explanation ---- */

/* A progress function. It receives the number of completed mask positions, the number of all
 * positions, and the pointer that was passed to occlude_explain. It returns 0 to continue and any
 * other value to cancel. Threads of the library call it, one at a time, with increasing `done`. It
 * may call occlude_cancel_request, and no other function of the library. It must return normally,
 * without longjmp or a C++ exception. */
typedef int (*occlude_progress)(size_t done, size_t total, void *user);

/* Creates a cancel flag. */
int occlude_cancel_new(occlude_cancel **cancel);

/* Cancels all explanations and searches that were given the flag. They end within milliseconds with
 * OCCLUDE_ERROR_CANCELLED; later ones end at once. It may be called from any thread and from a signal
 * handler. */
int occlude_cancel_request(const occlude_cancel *cancel);

/* Frees a cancel flag. No explanation that was given it may be running. */
void occlude_cancel_free(occlude_cancel *cancel);

/* Slides a mask over the picture and records the scores at each position; see occlude_maps_map. The
 * call returns when the explanation is complete. `options`, `progress`, `user` and `cancel` may be
 * NULL.
 * Errors: OCCLUDE_ERROR_OPTION, OCCLUDE_ERROR_CANCELLED. */
int occlude_explain(const occlude_network *network, const occlude_image *image, const occlude_options *options,
                    occlude_progress progress, void *user, const occlude_cancel *cancel, occlude_maps **maps);

void occlude_maps_free(occlude_maps *maps);

/* Gets the numbers of rows and columns of mask positions: ny, nx. */
int occlude_maps_grid(const occlude_maps *maps, size_t grid[2]);

/* Gets the part of the 224x224 pixels that the grid covers, as y0, x0, y1, x1. Without a region these
 * are 0, 0, 224, 224; with one, the pixels that are nearer to a mask centre of the region than to any
 * other. */
int occlude_maps_area(const occlude_maps *maps, size_t area[4]);

/* Gets the pixels that the mask at a position covered: rows y0 to y1 - 1 and columns x0 to x1 - 1, as
 * y0, x0, y1, x1. */
int occlude_maps_mask_rect(const occlude_maps *maps, size_t row, size_t column, size_t rect[4]);

/* Returns the number of classes that have a map; 0 for NULL. */
size_t occlude_maps_count(const occlude_maps *maps);

/* Gets the index of the k-th class, k = 0, 1, ... */
int occlude_maps_class(const occlude_maps *maps, size_t k, size_t *class_index);

/* Gets the score of the k-th class for the unmasked picture. */
int occlude_maps_base_score(const occlude_maps *maps, size_t k, float *score);

/* Gets the scores of the k-th class with the mask at each position. `count` is ny * nx. */
int occlude_maps_scores(const occlude_maps *maps, size_t k, float *scores, size_t count);

/* Gets the map of the k-th class: at each position, the score for the unmasked picture minus the
 * score with the mask. It is positive where the picture holds evidence for the class. `count` is
 * ny * nx. */
int occlude_maps_map(const occlude_maps *maps, size_t k, float *drops, size_t count);

/* Gets the map of the k-th class at the pixels of the area, by cubic interpolation between the centres
 * of the masks; beyond the outermost centres it is constant. `count` is the height times the width of
 * the area, 224 * 224 without a region. */
int occlude_maps_upsampled(const occlude_maps *maps, size_t k, float *pixels, size_t count);

/* Gets the most probable of all classes with the mask at each position. `count` is ny * nx. */
int occlude_maps_argmax(const occlude_maps *maps, size_t *classes, size_t count);

/* Gets the score of that class at each position. `count` is ny * nx. */
int occlude_maps_argmax_scores(const occlude_maps *maps, float *scores, size_t count);

/* ---- Regions ---- */

/* The next two functions take a map: the importance of each pixel of the 224x224 picture for a class, in
 * row order; `count` is 224 * 224. Without a region, occlude_maps_upsampled gives one.
 *
 * Finds the evidence: the pixels of the photograph at which the map is at least `share` of its maximum,
 * above 0 and at most 1. With a share of 0, Otsu's method chooses the value. If no value of the map is
 * above 0, the region has no pixels. Values between the pixels of the map are interpolated linearly.
 * `occlude region` limits the map to the largest drop of occlude_maps_map before.
 * Errors: OCCLUDE_ERROR_OPTION, OCCLUDE_ERROR_MEMORY. */
int occlude_region_above(const occlude_image *image, const float *map, size_t count, float share,
                         occlude_region **region);

/* Searches two parts of the picture in tiles of `tile` x `tile` pixels, 4 to 224; `occlude region` takes
 * 16. `keeping` is the smallest part with which the network predicts the class while everything else is
 * covered, `losing` the smallest part without which it predicts another class. Smallest means that each
 * of its tiles is needed. The map is the order in which tiles are tried. A handle is NULL if there is no
 * such part. A part without pixels means that the class is predicted for the covered picture, or another
 * class for the whole one. Of the options, which may be NULL, the content of the mask, exhaustive and
 * threads count. `cancel` may be NULL. A search takes some hundred classifications, about as many as
 * occlude_explain.
 * Errors: OCCLUDE_ERROR_OPTION, OCCLUDE_ERROR_CANCELLED, OCCLUDE_ERROR_MEMORY. */
int occlude_region_smallest(const occlude_network *network, const occlude_image *image,
                            const occlude_options *options, size_t class_index, const float *map,
                            size_t count, size_t tile, const occlude_cancel *cancel, occlude_region **keeping,
                            occlude_region **losing);

void occlude_region_free(occlude_region *region);

/* Gets the height and the width of the photograph. */
int occlude_region_size(const occlude_region *region, size_t size[2]);

/* Returns the number of pixels of the region; 0 for NULL. */
size_t occlude_region_area(const occlude_region *region);

/* Gets 1 for each pixel of the photograph in the region, 0 for the others, in row order. `count` is the
 * height times the width of the photograph. */
int occlude_region_pixels(const occlude_region *region, uint8_t *pixels, size_t count);

/* Returns the number of connected parts of the region; 0 for NULL. */
size_t occlude_region_parts(const occlude_region *region);

/* Gets the smallest box around a part: rows y0 to y1 - 1 and columns x0 to x1 - 1 of the photograph, as
 * y0, x0, y1, x1. Part 0 is the largest. */
int occlude_region_box(const occlude_region *region, size_t part, size_t box[4]);

/* Gets the probability of each class with everything covered except the region if `alone` is nonzero,
 * and with only the region covered if it is 0. The region is one of occlude_region_smallest. `count` is
 * occlude_network_classes. */
int occlude_region_probabilities(const occlude_region *region, int alone, float *probabilities, size_t count);

#ifdef __cplusplus
}
#endif

#endif
