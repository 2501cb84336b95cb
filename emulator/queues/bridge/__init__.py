"""A bridge to real queues: sends to queues of a Cloudflare account, and takes messages from them."""
