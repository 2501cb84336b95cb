export default ({ fetcher }) => ({
  async next() {
    const response = await fetcher.fetch("http://counter/next", { method: "POST" });
    if (!response.ok) throw new Error(response.statusText);
    return (await response.json()).value;
  },
});
