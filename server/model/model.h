#ifndef CALSERVE_SERVER_MODEL_MODEL_H_
#define CALSERVE_SERVER_MODEL_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace calserve {

// What one model version is to be loaded with.
struct ModelOptions {
  std::string name;
  int64_t version = 0;
  std::string path;                  // the .pt2 or .pt file
  std::vector<int64_t> input_shape;  // of one input, without batch dimension; FLOAT32
  int classes = 0;              // lines of labels.txt; the model gives so many logits, or 1 where it is 2
  std::string device = "auto";  // cpu | cuda | cuda:N | auto (cuda where there is one, else cpu, and logged;
                                // a .pt2 where it was compiled for)
  int instances = 1;            // concurrent forward passes; one copy of the weights
  int intra_op_threads = 0;     // LibTorch's in one forward pass; 0: as SetIntraOpThreads says
  int max_batch_size = 32;      // rows of one forward pass
  // What a TorchScript model computes in: fp32 | bf16 | fp16. Rows and logits stay float32.
  std::string dtype = "fp32";
  // Where the device wants fixed shapes: rows are padded with zeros up to the next of these, ascending, the
  // last of which is max_batch_size. Empty: any number of rows is run as it is.
  std::vector<int> batch_buckets;
  // Batches that one instance may have under way; 0: 2 on a device that copies while it computes, 1 on the
  // CPU.
  int slots = 0;
};

// The reason (error_info.h) of UNAVAILABLE where the device does not answer any more: no later batch will
// succeed in this process, on any instance of it.
inline constexpr char kDeviceLost[] = "DEVICE_LOST";

// One loaded, checked and warmed model version: `instances` that share the weights and each have `slots`, of
// which one computes while the next is copied to the device. One thread at a time an instance; different
// instances run at once. Plain header: torch stays in this room's .cc files.
class Model {
 public:
  virtual ~Model() = default;

  virtual int slots() const { return 1; }
  // Whether also threads that outlive it may run it. Not where a thread keeps something of it until it ends:
  // the library of an AOTInductor package, or a team of intra-op threads: so it changes with their number.
  virtual bool any_thread() const { return false; }
  // Where the rows of the next batch of a slot are written: max_batch_size × product(input_shape) floats,
  // row-major, pinned where the device wants it. Not between Start and Finish.
  virtual absl::Span<float> Staging(int instance, int slot) = 0;
  // Begins with the first `rows` rows of the slot: copies them to the device and computes once what was begun
  // before is done. A device that works by itself is not waited for. Slots are used in turn.
  virtual absl::Status Start(int instance, int slot, int rows) = 0;
  // Waits for what Start began and writes rows × columns() logits. Both: INTERNAL for a failed forward pass;
  // UNAVAILABLE with the reason kDeviceLost. Finish: DATA_LOSS names the row whose logits are not finite (the
  // other rows are written).
  virtual absl::Status Finish(int instance, int slot, int rows, absl::Span<float> logits) = 0;

  // The whole of it in the first slot.
  absl::Span<float> Staging(int instance) { return Staging(instance, 0); }
  absl::Status Run(int instance, int rows, absl::Span<float> logits) {
    absl::Status started = Start(instance, 0, rows);
    return started.ok() ? Finish(instance, 0, rows, logits) : started;
  }

  virtual int columns() const = 0;  // logits a row: classes, or 1 for a single-logit binary model
  virtual const ModelOptions& options() const = 0;
  virtual const std::string& format() const = 0;  // "torchscript" or "aotinductor"
  virtual const std::string& device() const = 0;  // "cpu", "cuda:0"
  virtual const std::string& digest() const = 0;  // SHA-256 of the model file, hex
  // What whoever runs the server should know of how it is run; empty where that is as usual.
  virtual std::string note() const { return {}; }
  // The numbers of rows that each thread of an instance runs before it serves. Loading has warmed them, on
  // threads that are gone; a device's libraries keep plans for each shape by thread (cuDNN).
  virtual std::vector<int> sizes_of_each_thread() const {
    return options().batch_buckets.empty() ? std::vector<int>{1} : options().batch_buckets;
  }
};

// Loads, checks the output's shape against `classes`, runs every instance at every bucket, or at 1, 2, 4, …
// and max_batch_size rows, and one for half a second at most at those between. NOT_FOUND for a missing file;
// INVALID_ARGUMENT for one that is not a model, gives another shape, or was made for another device or
// instruction set (names both); FAILED_PRECONDITION for a device that is not there; UNAVAILABLE with the
// reason kDeviceLost. Calls are serialised.
absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ModelOptions& options);

// LibTorch's intra-op threads for the models that do not say, from their next pass on. Before the first
// LoadModel, then at any time. 1 <= threads.
void SetIntraOpThreads(int threads);
// With how many a model with these options computes.
int EffectiveIntraOpThreads(const ModelOptions& options);

}  // namespace calserve

#endif  // CALSERVE_SERVER_MODEL_MODEL_H_
