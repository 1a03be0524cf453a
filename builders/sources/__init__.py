"""Where records come from. A source lists its inputs and cuts them into units without reading payloads."""
