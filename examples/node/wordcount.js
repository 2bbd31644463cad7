// Counts the words of its input, as JSON.
'use strict';

module.exports = async (call) => {
  let text = '';
  for await (const piece of call.input) text += piece;
  const words = text.match(/[\p{L}\p{N}_]+/gu) || [];
  console.log(`invocation ${call.invocation} has ${words.length} words`);
  return JSON.stringify({ words: words.length }) + '\n';
};
