// A secret of the Secrets Store in a JavaScript worker: the emulator keeps it.

export default ({ fetcher }) => ({
  async get() {
    const { error, value } = await (await fetcher.fetch("http://secrets-store/get")).json();
    if (error !== undefined) throw new Error(error);
    return value;
  },
});
