/** Token tools for the command line, which need no server. Loads no WebSocket library. */
export { checkToken } from "./check-token.ts";
export { type SigningKey, SigningKeyError, signingKey, signToken } from "./token-signer.ts";
