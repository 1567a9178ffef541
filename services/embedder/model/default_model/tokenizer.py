"""Writes the vocabulary as `tokenizer.json`, which does in the tokenizers library what sentencepiece does for
XLM-RoBERTa."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from services.embedder.model.default_model.weights import Vocabulary

# sentencepiece's normalisation nmt_nfkc: NFKC, these invisible characters removed, white space as one space.
UNSEEN = r"[\u0000-\u0008\u000e-\u001f\u007f\u200b\u200e\u200f\ufeff]"
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def write_tokenizer(vocabulary: Vocabulary, max_tokens: int, path: Path) -> None:
    scored = list(zip(vocabulary.pieces, vocabulary.scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(scored, vocabulary.unknown, False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace(Regex(UNSEEN), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(left=False, right=True),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always")
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", None, [("<s>", vocabulary.begin), ("</s>", vocabulary.end)]
    )
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding(pad_id=vocabulary.padding, pad_token="<pad>")
    tokenizer.save(str(path))
