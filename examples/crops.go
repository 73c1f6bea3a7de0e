// Windows of a photo, by Go's standard library alone: go run crops.go PHOTO [SERVER]
// The body is a JSON header, then the bytes that it announces: the photo with its length before it.
// The answer is JSON, for a struct of your choice.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

const header = `{"inputs": [
  {"name": "IMAGE", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": %d}},
  {"name": "RATIOS", "shape": [1, 3], "datatype": "FP32", "data": [1.7777778, 1, 0.8]}
 ],
 "outputs": [{"name": "RECTS"}, {"name": "KEPT"}]}`

func main() {
	server := append(os.Args, "http://localhost:8000")[2] // the default, if none was named
	photo := must(os.ReadFile(os.Args[1]))

	body := fmt.Appendf(nil, header, 4+len(photo))
	headerLength := fmt.Sprint(len(body))
	body = binary.LittleEndian.AppendUint32(body, uint32(len(photo)))
	body = append(body, photo...)

	request := must(http.NewRequest("POST", server+"/v2/models/crops/infer", bytes.NewReader(body)))
	request.Header.Set("Inference-Header-Content-Length", headerLength)
	response := must(http.DefaultClient.Do(request))
	answer := must(io.ReadAll(response.Body))
	if response.StatusCode != http.StatusOK {
		log.Fatalf("%s: %s", response.Status, answer)
	}
	fmt.Println(string(answer))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
