"""Task samples from grounded records: Kosmos-2's, Qwen-VL's and PaLI's formats, in our own words."""
