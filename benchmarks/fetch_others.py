"""What fetching is compared with, a process of its own each: prints its seconds, imports not counted, as JSON.

`python -m benchmarks.fetch_others img2dataset LIST OUT PROCESSES`: img2dataset's own run, to WebDataset shards.
`python -m benchmarks.fetch_others bare LIST I N`: every N-th URL, the I-th first, over kept connections, resized by
img2dataset's Resizer; what comes out is counted and let go.
"""

from __future__ import annotations

import io
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import pyarrow.parquet as pq
import urllib3

from builders.acquire.img2dataset_parts import resizer_class

THREADS = 64
SHARD = 500


def img2dataset(urls: str, out: str, processes: str) -> float:
    """Its defaults, but for shards as large as ours, and as many connections."""
    from img2dataset import download

    began = time.perf_counter()
    download(
        url_list=urls,
        input_format="parquet",
        url_col="url",
        caption_col="caption",
        output_folder=out,
        output_format="webdataset",
        processes_count=int(processes),
        thread_count=THREADS,
        number_sample_per_shard=SHARD,
        image_size=256,
    )
    return time.perf_counter() - began


def bare(urls: str, first: str, every: str) -> float:
    """Threads that fetch, one loop that resizes."""
    mine = pq.read_table(urls, columns=["url"])["url"].to_pylist()[int(first) :: int(every)]
    resize = resizer_class()(256, "border", False)
    began = time.perf_counter()
    with urllib3.PoolManager(maxsize=THREADS) as pool, ThreadPoolExecutor(THREADS) as threads:

        def fetch(url: str) -> bytes:
            data: bytes = pool.request("GET", url).data
            return data

        done = sum(
            resize(io.BytesIO(one.result()))[5] is None
            for one in as_completed([threads.submit(fetch, url) for url in mine])
        )
    assert done == len(mine)
    return time.perf_counter() - began


if __name__ == "__main__":
    what = {"img2dataset": img2dataset, "bare": bare}[sys.argv[1]]
    print(json.dumps({"whole": what(*sys.argv[2:])}))
