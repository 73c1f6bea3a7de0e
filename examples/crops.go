// Windows of a photo, by Go's standard library alone: go run crops.go PHOTO [SERVER]
// The body is a JSON header, then the bytes that it announces: the photo with its length before it.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

type tensor struct {
	Name       string         `json:"name"`
	Shape      []int          `json:"shape,omitempty"`
	Datatype   string         `json:"datatype,omitempty"`
	Parameters map[string]int `json:"parameters,omitempty"`
	Data       []float64      `json:"data,omitempty"`
}

func main() {
	server := "http://localhost:8000"
	if len(os.Args) > 2 {
		server = os.Args[2]
	}
	photo, err := os.ReadFile(os.Args[1])
	check(err)
	names, ratios := []string{"16:9", "1:1", "4:5"}, []float64{16. / 9, 1, 4. / 5}

	header, err := json.Marshal(map[string][]tensor{
		"inputs": {
			{Name: "IMAGE", Shape: []int{1, 1}, Datatype: "BYTES",
				Parameters: map[string]int{"binary_data_size": 4 + len(photo)}},
			{Name: "RATIOS", Shape: []int{1, 3}, Datatype: "FP32", Data: ratios},
		},
		"outputs": {{Name: "RECTS"}, {Name: "KEPT"}},
	})
	check(err)
	length := binary.LittleEndian.AppendUint32(nil, uint32(len(photo)))
	body := bytes.NewReader(bytes.Join([][]byte{header, length, photo}, nil))
	request, err := http.NewRequest("POST", server+"/v2/models/crops/infer", body)
	check(err)
	request.Header.Set("Inference-Header-Content-Length", strconv.Itoa(len(header)))
	response, err := http.DefaultClient.Do(request)
	check(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	check(err)
	if response.StatusCode != http.StatusOK {
		log.Fatalf("%s: %s", response.Status, answer)
	}

	var found struct{ Outputs []tensor }
	check(json.Unmarshal(answer, &found))
	outputs := map[string][]float64{}
	for _, output := range found.Outputs {
		outputs[output.Name] = output.Data
	}
	for i, name := range names {
		rect := outputs["RECTS"][4*i : 4*i+4]
		fmt.Printf("%s %.0f %.0f %.0f %.0f %.3f\n", name, rect[0], rect[1], rect[2], rect[3], outputs["KEPT"][i])
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
