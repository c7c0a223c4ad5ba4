/** A piece of a channel template: fixed text, or a field of the record. */
export type TemplatePart =
	| { readonly kind: "text"; readonly text: string }
	| { readonly kind: "topic" | "key" | "partition" }
	| { readonly kind: "header"; readonly name: string };

/** Stands for all clients, whatever they listen to. */
export const everybodyTemplate = "*";

/**
 * `{key}.{topic}`; the template for everybody has no parts.
 * @throws RangeError with the rest of the sentence that begins with the template.
 */
export function parseTemplate(template: string): readonly TemplatePart[] {
	if (template === everybodyTemplate) return [];
	if (template === "") throw new RangeError(`is empty; "${everybodyTemplate}" stands for everybody`);
	const parts: TemplatePart[] = [];
	let at = 0;
	for (const match of template.matchAll(/\{([^{}]*)\}/g)) {
		if (match.index > at) parts.push(text(template.slice(at, match.index)));
		parts.push(field(match[1]!));
		at = match.index + match[0].length;
	}
	if (at < template.length) parts.push(text(template.slice(at)));
	return parts;
}

function field(name: string): TemplatePart {
	if (name === "topic" || name === "key" || name === "partition") return { kind: name };
	if (name.startsWith("header:") && name.length > 7) return { kind: "header", name: name.slice(7) };
	throw new RangeError(`has {${name}}; there are {topic}, {key}, {partition} and {header:name}`);
}

function text(fixed: string): TemplatePart {
	if (/[{}]/.test(fixed)) throw new RangeError("has a brace without its other half");
	return { kind: "text", text: fixed };
}
