#ifndef CALSERVE_TESTS_END_TO_END_MODEL_VARIANTS_H_
#define CALSERVE_TESTS_END_TO_END_MODEL_VARIANTS_H_

#include <cstdint>
#include <string>

// A header without LibTorch, which costs a test half a minute to compile.
namespace calserve::e2e {

// Writes the demo model to `path` with `shift` added to the logit of its first class, so that a test tells by
// an answer which model gave it. Throws what LibTorch throws.
void WriteDemoVariant(const std::string& path, float shift);

// A repository with the demo model as its only one, to which versions are added as an operator would: made
// elsewhere on the same disk, then renamed into place.
class VariantRepository {
 public:
  // In an existing directory; it has version 1, with shift 0.
  explicit VariantRepository(const std::string& directory);

  std::string path() const;
  std::string model_path() const;
  // model.yaml of the demo with `lines` after it; renamed into place too.
  void WriteYaml(const std::string& lines) const;
  // The class names, in another order; renamed into place too.
  void SwapFirstLabels() const;
  // With a calibrator.json of such content, where one is given.
  void AddVersion(int64_t version, float shift, const std::string& calibrator_json = "") const;
  // A version whose model.pt is `text`.
  void AddBrokenVersion(int64_t version, const std::string& text) const;
  void RemoveVersion(int64_t version) const;
  // Writes a file of a version, as "warmup/expected.json".
  void WriteFile(int64_t version, const std::string& name, const std::string& text) const;

 private:
  std::string Staged() const;
  void Place(const std::string& staged, int64_t version) const;

  const std::string directory_;
};

}  // namespace calserve::e2e

#endif  // CALSERVE_TESTS_END_TO_END_MODEL_VARIANTS_H_
