/** The parts of JSON Schema used here. */
export interface Schema {
	readonly type?: "string" | "number" | "integer" | "boolean" | "object" | "array";
	readonly description?: string;
	readonly properties?: Readonly<Record<string, Schema>>;
	readonly required?: readonly string[];
	readonly additionalProperties?: boolean | Schema;
	readonly items?: Schema;
	readonly anyOf?: readonly Schema[];
	readonly $ref?: string;
	readonly minimum?: number;
	readonly maximum?: number;
	readonly minItems?: number;
	readonly maxItems?: number;
	readonly maxProperties?: number;
	readonly minProperties?: number;
	readonly maxLength?: number;
	readonly minLength?: number;
	readonly enum?: readonly string[];
	readonly contentEncoding?: "base64";
}

type Fields = Readonly<Record<string, Schema>>;

export const text = (description?: string): Schema => ({ type: "string", ...(description !== undefined && { description }) });
export const count = (description?: string): Schema => ({ type: "integer", minimum: 0, ...(description !== undefined && { description }) });
export const flag = (description: string): Schema => ({ type: "boolean", description });
export const any = (description: string): Schema => ({ description });
export const listOf = (items: Schema, description: string, maxItems?: number): Schema => ({
	type: "array",
	items,
	description,
	...(maxItems !== undefined && { maxItems }),
});
export const tableOf = (values: Schema, description: string): Schema => ({ type: "object", additionalProperties: values, description });

/** An object without other fields: what the server adds must be added here. */
export function table(fields: Fields, required: readonly string[] = [], description?: string): Schema {
	return {
		type: "object",
		properties: fields,
		...(required.length > 0 && { required }),
		additionalProperties: false,
		...(description !== undefined && { description }),
	};
}

/** The fields of an object made by `table`. */
export function fieldsOf({ properties = {}, required = [] }: Schema): readonly { name: string; schema: Schema; required: boolean }[] {
	return Object.entries(properties).map(([name, schema]) => ({ name, schema, required: required.includes(name) }));
}
