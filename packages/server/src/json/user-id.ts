import { FieldError, type Fields, requiredField, textField } from "./fields.ts";

/**
 * The longest user id, in bytes of UTF-8, wherever one is given: in tokens, replies of hooks, the server API and the list of blocked users. So
 * every user who can connect can be blocked. Every publication of the client carries the id. OpenID Connect allows the same number of
 * characters.
 */
export const userIdBytesMax = 255;

export const isUserIdTooLong = (user: string): boolean => Buffer.byteLength(user) > userIdBytesMax;

/** "" = absent. @throws FieldError when it is not a string, or too long. */
export function userField(fields: Fields): string {
	return checked(textField(fields, "user"));
}

/** @throws FieldError also when it is missing or "". */
export function requiredUserField(fields: Fields): string {
	return checked(requiredField(fields, "user"));
}

function checked(user: string): string {
	if (isUserIdTooLong(user)) throw new FieldError(`user has more than ${userIdBytesMax} bytes`);
	return user;
}
