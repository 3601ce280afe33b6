// The README's example. Without a server it says so and exits with 1.
#include <fstream>
#include <iostream>
#include <iterator>

#include "client/client.h"

int main(int argc, char** argv) {
  std::ifstream file(argc > 1 ? argv[1] : "shoe.png", std::ios::binary);
  calserve::client::PredictRequest request;
  request.model = "fashion_mnist";
  request.inputs = {{calserve::client::EncodedImage{{std::istreambuf_iterator<char>(file), {}}}, {}}};
  const auto client = calserve::Client::Connect({.target = argc > 2 ? argv[2] : "127.0.0.1:8500"});
  const auto answer = client->Predict(request);
  if (!answer.ok()) return std::cerr << answer.status() << "\n", 1;
  const auto& top = answer->predictions[0].top_classes[0];
  std::cout << top.label << " with probability " << top.probability << "\n";
}
