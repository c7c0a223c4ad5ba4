/** Tokens without a server: for the command line. Loads no library for WebSockets. */
export { type CheckedToken, checkToken } from "./check-token.ts";
export { type SigningKey, SigningKeyError, signingKey, signToken } from "./token-signer.ts";
