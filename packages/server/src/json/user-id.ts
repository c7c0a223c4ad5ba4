import { isUserIdTooLong, userIdBytesMax } from "@shardcast/wire";
import { FieldError, type Fields, requiredField, textField } from "./fields.ts";

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
