// A file of HTML that is imported is its text.
declare module "*.html" {
  const text: string;
  export default text;
}
