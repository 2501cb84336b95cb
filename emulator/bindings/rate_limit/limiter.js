// A rate limit binding of a JavaScript worker: the emulator counts.

export default ({ fetcher }) => ({
  async limit(options) {
    const body = JSON.stringify(options === undefined ? null : options, (_, value) =>
      typeof value === "bigint" ? Number(value) : value,
    );
    const response = await fetcher.fetch("http://ratelimit/limit", { method: "POST", body });
    const { error, success } = await response.json();
    if (error !== undefined) throw new Error(error);
    return { success };
  },
});
