// Windows of a photo, by Java 17 alone: java Crops.java PHOTO [SERVER]
// The body is a JSON header, then the bytes that it announces: the photo with its length before it.
// The answer is JSON, for the library of your choice.
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

class Crops {
    public static void main(String[] arguments) throws IOException, InterruptedException {
        String server = arguments.length > 1 ? arguments[1] : "http://localhost:8000";
        byte[] photo = Files.readAllBytes(Path.of(arguments[0]));
        byte[] header = """
            {"inputs": [
              {"name": "IMAGE", "shape": [1, 1], "datatype": "BYTES",
               "parameters": {"binary_data_size": %d}},
              {"name": "RATIOS", "shape": [1, 3], "datatype": "FP32", "data": [1.7777778, 1, 0.8]}
             ],
             "outputs": [{"name": "RECTS"}, {"name": "KEPT"}]}
            """.formatted(4 + photo.length).getBytes();
        byte[] body = ByteBuffer.allocate(header.length + 4 + photo.length)
            .order(ByteOrder.LITTLE_ENDIAN).put(header).putInt(photo.length).put(photo).array();

        HttpRequest request = HttpRequest.newBuilder(URI.create(server + "/v2/models/crops/infer"))
            .header("Inference-Header-Content-Length", Integer.toString(header.length))
            .POST(HttpRequest.BodyPublishers.ofByteArray(body)).build();
        HttpResponse<String> response = HttpClient.newHttpClient()
            .send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException(response.body());
        }
        System.out.println(response.body());
    }
}
