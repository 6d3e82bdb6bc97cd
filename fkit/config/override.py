def apply_words(cfg, words):
    raise NotImplementedError
