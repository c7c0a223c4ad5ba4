import { type JWTPayload, SignJWT } from "jose";

export const tokenSecret = "a-secret-of-enough-bytes-surely-32";

/** A token as a backend signs it. */
export function tokenOf(claims: JWTPayload, secret = tokenSecret): Promise<string> {
	return new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(Buffer.from(secret));
}
