#!/bin/sh
# Windows of a photo, by curl: sh crops.sh PHOTO [SERVER], for 16:9, 1:1 and 4:5.
# The body is a JSON header, then the bytes that it announces: the photo with its length before it.
set -eu
photo=$1
server=${2:-http://localhost:8000}

length=$(wc -c < "$photo")
header=$(cat <<JSON
{"inputs": [
  {"name": "IMAGE", "shape": [1, 1], "datatype": "BYTES",
   "parameters": {"binary_data_size": $((length + 4))}},
  {"name": "RATIOS", "shape": [1, 3], "datatype": "FP32", "data": [1.7777778, 1, 0.8]}
 ],
 "outputs": [{"name": "RECTS"}, {"name": "KEPT"}]}
JSON
)
octet() { printf "\\$(printf %03o $((length >> $1 & 255)))"; } # a byte of it, the lowest first
{ printf %s "$header"; octet 0; octet 8; octet 16; octet 24; cat "$photo"; } |
    curl --silent --show-error --fail-with-body \
        --header "Inference-Header-Content-Length: ${#header}" \
        --data-binary @- "$server/v2/models/crops/infer"
