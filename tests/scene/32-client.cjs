// A client of the API with npm's undici: mutual TLS, keep-alive, parallel requests, retries by idempotency key.
'use strict';
const { Agent, request } = require('undici');
const fs = require('node:fs');
const assert = require('node:assert');
const { randomUUID } = require('node:crypto');

const [port, dir] = process.argv.slice(2);
const agent = new Agent({
	connections: 8, pipelining: 1,
	connect: {
		ca: fs.readFileSync(`${dir}/ca.crt`), cert: fs.readFileSync(`${dir}/clients/demo.crt`), key: fs.readFileSync(`${dir}/clients/demo.key`),
		minVersion: 'TLSv1.3',
	},
});

async function call(method, path, body, headers = {}) {
	const answer = await request(`https://127.0.0.1:${port}${path}`, {
		method, dispatcher: agent, headersTimeout: 30000,
		body: body === undefined ? undefined : JSON.stringify(body),
		headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
	});
	const text = await answer.body.text();
	return { status: answer.statusCode, headers: answer.headers, body: text ? JSON.parse(text) : null };
}
const post = (path, body, key = randomUUID(), more = {}) => call('POST', path, body, { 'idempotency-key': key, ...more });
const step = async (name, act) => { await act(); console.log(`ok  ${name}`); };

(async () => {
	let token, payment;
	await step('a card becomes a token, the same card the same token', async () => {
		const card = { number: '5555555555554444', exp_month: 8, exp_year: 2032, cvc: '737', holder: 'Zoë Müller' };
		const first = await post('/v1/tokens', { card, metadata: { höhe: '12 €' } });
		assert.equal(first.status, 201);
		assert.equal(first.body.card.brand, 'mastercard');
		assert.deepEqual(first.body.metadata, { höhe: '12 €' });
		const again = await post('/v1/tokens', { card });
		assert.equal(again.status, 200);
		assert.equal(again.headers.deduplicated, 'true');
		assert.equal(again.body.id, first.body.id);
		token = first.body.id;
	});
	await step('a payment is authorized, captured in parts and refunded', async () => {
		const made = await post('/v1/payments', { amount: 2500, currency: 'USD', token, capture_method: 'manual', order_id: 'o-1' });
		assert.equal(made.status, 201);
		assert.equal(made.body.status, 'authorized');
		assert.equal(made.headers.location, `/v1/payments/${made.body.id}`);
		payment = made.body.id;
		assert.equal((await post(`/v1/payments/${payment}/capture`, { amount: 1000, final: false })).status, 201);
		assert.equal((await post(`/v1/payments/${payment}/capture`, {})).body.amount, 1500);
		assert.equal((await post(`/v1/payments/${payment}/refunds`, { amount: 300, reason: 'one broken' })).body.object, 'refund');
		const now = (await call('GET', `/v1/payments/${payment}`)).body;
		assert.equal(now.status, 'partially_refunded');
		assert.equal(now.amount_refunded, 300);
		const events = (await call('GET', `/v1/payments/${payment}/events`)).body;
		assert.ok(events.data.length >= 7 && events.data.every((e) => e.object === 'event' && e.livemode === false));
	});
	await step('a decline is an answer with a payment and advice', async () => {
		const declined = await post('/v1/payments', { amount: 100, currency: 'USD', card: { number: '4000000000009995', exp_month: 1, exp_year: 2031 } });
		assert.equal(declined.status, 402);
		assert.match(declined.headers['content-type'], /^application\/problem\+json/);
		assert.equal(declined.body.decline_code, 'insufficient_funds');
		assert.equal(declined.body.payment.status, 'declined');
		assert.ok(declined.body.advice);
	});
	await step('one key pays once, from eight sockets at the same time', async () => {
		const key = randomUUID();
		const body = { amount: 777, currency: 'EUR', token };
		const answers = await Promise.all(Array.from({ length: 8 }, () => post('/v1/payments', body, key)));
		const ids = new Set(answers.filter((a) => a.status === 201).map((a) => a.body.id));
		assert.equal(ids.size, 1);
		for (const a of answers.filter((x) => x.status !== 201)) {
			assert.equal(a.body.code, 'idempotency_in_progress');
			assert.equal(a.headers['retry-after'], '1');
		}
		const list = await call('GET', '/v1/payments?limit=100');
		assert.equal(list.body.data.filter((p) => p.amount === 777).length, 1);
		const other = await post('/v1/payments', { ...body, amount: 778 }, key);
		assert.equal(`${other.status} ${other.body.code}`, '409 idempotency_key_reused');
	});
	await step('an asynchronous payment is followed to its end', async () => {
		const accepted = await post('/v1/payments', { amount: 900, currency: 'EUR', token }, randomUUID(), { prefer: 'respond-async' });
		assert.equal(accepted.status, 202);
		assert.equal(accepted.headers['preference-applied'], 'respond-async');
		for (let i = 0; ; i++) {
			const now = (await call('GET', accepted.headers.location)).body;
			if (now.status === 'captured') break;
			assert.ok(i < 100, now.status);
			await new Promise((r) => setTimeout(r, 50));
		}
	});
	await step('pages follow each other without gap or repetition', async () => {
		const seen = [];
		for (let cursor = ''; ;) {
			const page = (await call('GET', `/v1/payments?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)).body;
			seen.push(...page.data.map((p) => p.id));
			if (!page.has_more) break;
			cursor = page.next_cursor;
		}
		assert.equal(new Set(seen).size, seen.length);
		assert.deepEqual(seen, (await call('GET', '/v1/payments?limit=100')).body.data.map((p) => p.id));
	});
	await step('a trace goes through and every answer has its id', async () => {
		const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
		const answer = await call('GET', '/v1/whoami', undefined, { traceparent: `00-${trace}-00f067aa0ba902b7-01` });
		assert.ok(answer.headers.traceparent.startsWith(`00-${trace}-`));
		assert.match(answer.headers['request-id'], /^req_[0-9A-HJKMNP-TV-Z]{26}$/);
		assert.equal(answer.body.id, 'demo');
	});
	await step('the document describes what there is', async () => {
		const doc = (await call('GET', '/openapi.json')).body;
		assert.equal(doc.openapi, '3.1.0');
		const ids = Object.values(doc.paths).flatMap((p) => Object.values(p).map((o) => o.operationId));
		assert.equal(new Set(ids).size, ids.length);
		const text = JSON.stringify(doc);
		for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) assert.ok(doc.components.schemas[name], name);
		const shown = (await call('GET', `/v1/payments/${payment}`)).body;
		const schema = doc.components.schemas.Payment;
		for (const name of Object.keys(shown)) assert.ok(schema.properties[name], name);
		for (const name of schema.required) assert.ok(name in shown, name);
	});
	await step('a large answer and a large question', async () => {
		const metadata = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`key ${i}`, 'x'.repeat(490)]));
		const made = await post('/v1/payments', { amount: 1, currency: 'EUR', token, metadata });
		assert.equal(made.status, 201);
		assert.deepEqual(made.body.metadata, metadata);
	});
	agent.destroy();
})().catch((e) => { console.log(`FAILED  ${e.stack}`); process.exit(1); });
