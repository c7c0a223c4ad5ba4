/** Token tools for the command line, which need no server. Loads no WebSocket library. */
export { type CheckedToken, checkToken } from "./check-token.ts";
export { type SigningKey, SigningKeyError, signingKey, signToken } from "./token-signer.ts";
