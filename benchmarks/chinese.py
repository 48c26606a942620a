"""What the tables of the benchmarks say, in Chinese.

A "#" stands for a figure; in the translation "#1" is the first of them.
"""

import re

QUESTIONS = {
    "How well are tasks learned from labelled text alone, without a weight from elsewhere?": "只用带标签的文本、不用外来的权重，任务学得有多好？",
    "Does a text VAE say anything through its latent vector, and at what cost beside a language model?": "文本变分自编码器的潜向量说了什么？与语言模型相比代价多大？",
    "Does the planner choose well? Its plan, and the plan with one choice changed, at equal work.": "规划器选得好吗？它的计划，以及改动一项选择的计划，运算量相同",
    "How fast does text become a tokenizer, and then tokens, against tokenizers and datatrove?": "文本多快变成分词器、再变成词元？与 tokenizers 和 datatrove 比较",
    "How fast is a training step at a fixed shape?": "固定规模下，训练一步有多快？",
    "How fast is cleaning and deduplication against datatrove?": "清洗与去重有多快？与 datatrove 比较",
    "How fast, and how well, are word vectors learned against gensim?": "学词向量有多快、多好？与 gensim 比较",
    "How many bits per byte of held-out text after so many minutes of wall clock?": "给定这么多分钟，留出文本上每字节要多少比特？",
    "How many tokens a second does generation write, greedily, with a cache?": "使用缓存、每次取最可能的词元，生成每秒写多少词元？",
    "How much memory does training take at # million weights?": "训练 #1 百万个权重要多少内存？",
    "How well and how fast are words counted into a modified Kneser–Ney model, against KenLM?": "把词数成修正 Kneser–Ney 模型，有多好、多快？与 KenLM 比较",
    "How well and how fast do our taggers tag parts of speech, against CRFsuite with the same features?": "我们的标注器标词性有多好、多快？与用同样特征的 CRFsuite 比较",
    "How well are English words aligned with Chinese ones?": "英语词与汉语词对齐得有多好？",
    "What does each family make of ten minutes of a CPU on WikiText-#?": "每个家族用 CPU 的十分钟在 WikiText-#1 上能做到什么？",
    "What did each idea in the history of the field buy, on the same text in the same minutes?": "同一文本、同样的分钟数，这个领域历史上的每个想法换来了什么？",
}

COLUMNS = {
    "data": "数据",
    "score": "指标",
    "mean, %": "平均，%",
    "lowest": "最低",
    "highest": "最高",
    "our yardstick, %": "我们的标尺，%",
    "peer": "对照",
    "peer, %": "对照，%",
    "goal, %": "目标，%",
    "seconds of a run": "每次运行秒数",
    "texts/s": "文本/秒",
    "after # min": "#1 分钟后",
    "perplexity of a word": "每词困惑度",
    "# % interval": "#1% 区间",
    "CPU seconds": "CPU 秒数",
    "KL, nats a line": "KL（nat/行）",
    "MB": "MB",
    "MB/s": "MB/秒",
    "WordSim-#": "WordSim-#1",
    "active units of #": "#1 个单元中活跃的",
    "bits per byte": "每字节比特数",
    "body": "主体",
    "both directions": "两个方向",
    "bound, nats a token": "界（nat/词元）",
    "bytes a weight": "每个权重的字节数",
    "bytes per token": "每词元字节数",
    "changed": "改动",
    "contestant": "参赛者",
    "documents": "文档数",
    "dropped": "去掉",
    "error rate": "错误率",
    "inkstone is faster by": "inkstone 快多少倍",
    "kept": "保留",
    "language": "语言",
    "least count": "最低次数",
    "likelihood": "似然",
    "method": "方法",
    "minutes given": "给定分钟数",
    "model": "模型",
    "mutual information, nats": "互信息（nat）",
    "n-grams": "n 元组数",
    "number format": "数值格式",
    "of which reading words": "其中读词",
    "order": "阶",
    "pairs covered": "覆盖的词对",
    "peak memory, GB": "内存峰值，GB",
    "peak memory, MB": "内存峰值，MB",
    "peak resident GB": "常驻内存峰值，GB",
    "perplexity": "困惑度",
    "planted": "埋入的重复",
    "precision": "精确率",
    "program": "程序",
    "program and model": "程序与模型",
    "recall": "召回率",
    "right, %": "正确，%",
    "seconds": "秒数",
    "seconds of training": "训练秒数",
    "seconds taken": "实际秒数",
    "seeds": "种子数",
    "shape": "规模",
    "share of the measured peak": "占实测峰值的比例",
    "spread over the seeds": "种子间的极差",
    "start of the weights": "权重的起点",
    "steps": "步数",
    "summed RSS, MB": "RSS 之和，MB",
    "tagger": "标注器",
    "text": "文本",
    "text, MB": "文本，MB",
    "texts at once": "同时写的份数",
    "threads": "线程数",
    "time / inkstone's": "时间与 inkstone 之比",
    "times the fastest peer": "最快对照程序的倍数",
    "tokens a second": "词元/秒",
    "tokens scored a second": "每秒评分词元数",
    "tokens/s scored": "评分，词元/秒",
    "trained as": "训练成",
    "trained by": "训练者",
    "training, s": "训练，秒",
    "unit": "单位",
    "units a second": "单位/秒",
    "units a second of processor time": "单位/处理器秒",
    "weights": "权重数",
    "who": "程序",
    "width × layers": "宽度 × 层数",
    "words/s": "词/秒",
    "work": "工作",
    "−ELBO, nats a token": "−ELBO（nat/词元）",
}

CELLS = {
    "TF-IDF of words, scikit-learn": "词的 TF-IDF，scikit-learn",
    "TF-IDF of characters, scikit-learn": "字的 TF-IDF，scikit-learn",
    "accuracy": "准确率",
    "span F#": "片段 F#1",
    "word F#": "词 F#1",
    "role F#": "角色 F#1",
    "predicate F#": "谓词 F#1",
    "gsdsimp-upos: today's tags": "gsdsimp-upos：今天的标注",
    "Chinese GSD #, simplified": "汉语 GSD #1，简体",
    "Chinese novels": "中文小说",
    "English EWT": "英语 EWT",
    "English novels": "英文小说",
    "Python's sources": "Python 源代码",
    "WikiText-#, English articles": "WikiText-#1，英文条目",
    "backward": "反向",
    "bigrams": "二元组",
    "cells": "格",
    "forward": "正向",
    "inkstone, large": "inkstone，大",
    "intersection": "交集",
    "language model": "语言模型",
    "learn, inkstone": "学分词器，inkstone",
    "learn, tokenizers": "学分词器，tokenizers",
    "random": "随机",
    "the same, today's tags": "同上，今天的标注",
    "tokenise, datatrove": "分词，datatrove",
    "tokenise, inkstone": "分词，inkstone",
    "tokenise, tokenizers, nothing written": "分词，tokenizers，不写文件",
    "union": "并集",
    "words": "词",
}

NOTES = {
    # tasks
    "Test parts, each scored once by every run; settings were chosen on dev. A run has one core and the minutes of benchmarks/task_table.py at most, its yardstick included, and ends sooner where dev gains nothing.": "测试部分，每次运行只评一次；设置按 dev 选定。每次运行用一个核心，时间不超过 benchmarks/task_table.py 所给的分钟数（含标尺），dev 不再变好时提前结束。",
    "Our yardstick is the simple model that every run trains beside the tuned one: TF–IDF with logistic regression, or a CRF over feature templates. The peers learn from the same parts: scikit-learn with its C chosen on dev, CRFsuite with every feature that our CRF looks at.": "我们的标尺是每次运行顺带训练的简单模型：TF–IDF 加逻辑回归，或特征模板上的 CRF。对照用同样的部分学习：scikit-learn 的 C 按 dev 选定，CRFsuite 用我们的 CRF 所看的全部特征。",
    "No weight comes from elsewhere: word vectors, where a set begins at them, were learned by inkstone vectors from the training text of the mirror, in # minutes at most.": "没有外来的权重：有些数据从词向量开始，词向量由 inkstone vectors 在镜像的训练文本上学得，至多 #1 分钟。",
    "GSDSimp: tags of release #, which alone has a training part here; today's tags differ from them in # % of the words of dev. Roles: the predicates are given. CRFsuite on parts of speech stands in the table of taggers. Of segmentation words/s counts characters.": "GSDSimp：用 #1 版的标注，这里只有它有训练部分；今天的标注在 dev 上有 #2 % 的词与之不同。语义角色：谓词已给定。CRFsuite 标词性的成绩见标注器的表。分词的词/秒数的是字。",
    "The sets ran on two cores at once, beside other work now and then, so that a run saw its examples fewer times than on an idle machine.": "各数据在两个核心上同时运行，有时还有别的工作，所以每次运行读例子的遍数比空闲的机器上少。",
    # alignment
    "error rate, precision and recall in %, # sentence pairs of the Parallel UD treebank, # pairs in all to learn from; all links by people are sure; only links of source words that people looked at count (content words)": "错误率、精确率、召回率以 % 计：Parallel UD 树库的 #1 对句子，学习共用 #2 对；人工连线都算确定的；只计人看过的源语词（实词）的连线",
    "CPU seconds: both directions, learning and linking, five iterations a model": "CPU 秒数：两个方向，含学习与连线，每个模型五次迭代",
    "# pairs of Multi#k, five iterations of Model # in one direction: # CPU seconds": "Multi#2k 的 #1 对句子，模型 #3 在一个方向上五次迭代：#4 CPU 秒",
    "for comparison, measured before on the same machine: fast_align # s and eflomal Model # # s on these pairs": "作为对照，先前在同一台机器上、同样的句对：fast_align #1 秒，eflomal 的模型 #2 为 #3 秒",
    "run under load on one core that other work shared, whose caches it shared too": "在有负载时运行，与别的工作共用一个核心，也共用其缓存",
    "one core that other work shared, whose caches it shared too; how much of it each contestant got differed": "与别的工作共用一个核心，也共用其缓存；各方分到的多少不一",
    "one core that other work shared, whose caches it shared too; how much of it each contestant got differed, so read CPU seconds": "与别的工作共用一个核心，也共用其缓存；各方分到的多少不一，所以请看 CPU 秒数",
    # cleaning
    "# worker processes each; memory is the proportional set size of the whole process tree": "各 #1 个工作进程；内存是整棵进程树按比例分摊的驻留量（PSS）",
    "inkstone is # times as fast, in # times the memory": "inkstone 快 #1 倍，内存为 #2 倍",
    "inkstone is # times as fast, in #/# of the memory": "inkstone 快 #1 倍，内存为 #2/#3",
    "both contestants had one core between their two workers, and shared it with other work: the ratio and the memory hold, the MB/s are a lower bound": "两位参赛者都只有一个核心给两个工作进程，还与别的工作共用：比值与内存可信，MB/秒是下界",
    # curves, families
    "# minutes of wall clock each, everything counted; threads of every run: #. Columns on the way are bits per byte while the learning rate is still high.": "各给 #1 分钟时钟时间，一切都算在内；每次运行的线程数：#2。途中各列是学习率仍高时的每字节比特数。",
    "# minutes of wall clock each, everything counted; threads of every run: all cores. Columns on the way are bits per byte while the learning rate is still high.": "各给 #1 分钟时钟时间，一切都算在内；每次运行用所有核心。途中各列是学习率仍高时的每字节比特数。",
    "Held-out text is the validation part; a word is what stands between spaces or a mark, ends of lines not counted.": "留出文本是验证部分；词是空格之间的一段或一个标点，行尾不算。",
    "# minutes of wall clock each, preparation, scoring and report included": "各给 #1 分钟时钟时间，准备、评分与报告都算在内",
    "threads of every run: #": "每次运行的线程数：#1",
    "threads of every run: all cores": "每次运行用所有核心",
    "a pseudo-log-likelihood sees both sides of each token and is no probability of the text; a bound is at least as high as the true figure": "伪对数似然能看到每个词元的两侧，不是文本的概率；界不低于真实数值",
    "decoder, recurrent, convolutional, neural_ngram, encoder_decoder, ngram, hmm: a core of its own. text_vae and encoder: on a core that other work shared, with about half of its time. One seed": "decoder、recurrent、convolutional、neural_ngram、encoder_decoder、ngram、hmm：独占一个核心。text_vae 与 encoder：与别的工作共用一个核心，约得其一半时间。一个种子",
    "one core of its own and one thread; the other core did other work throughout, whose caches and memory it shared; one seed": "独占一个核心，单线程；另一个核心一直做别的工作，缓存与内存共用；一个种子",
    # generation
    "Qwen# layout, # M weights, prompt of # tokens, # new ones; # rounds in turn, medians; # threads": "Qwen#1 结构，#2 百万个权重，提示 #3 个词元，新写 #4 个；轮流 #5 轮，取中位数；线程数 #6",
    "several texts continue one prompt, which ours reads once and the peer once for each": "几份文本续写同一个提示：我们只读一遍，对照程序每份各读一遍",
    "this chip has no units for bfloat#: # new tokens there": "这颗芯片没有 bfloat#1 的运算单元：那里只新写 #2 个词元",
    # n-grams
    "Perplexity per word, the end of each line counted: WikiText-#, the part test; of Python's sources, the last hundredth of the lines.": "每词困惑度，行尾也算一词：WikiText-#1 的测试部分；Python 源代码最后百分之一的行。",
    "Perplexity per word, the end of each line counted: WikiText-#, the part valid; of Python's sources, the last hundredth of the lines.": "每词困惑度，行尾也算一词：WikiText-#1 的验证部分；Python 源代码最后百分之一的行。",
    "Seconds from the text file to the model; KenLM's is written as ARPA, on as many threads as it likes. Least count: n-grams of order # and above that came fewer times are left out.": "秒数：从文本文件到模型；KenLM 的写成 ARPA，线程数随它。最低次数：出现更少的 #1 阶及以上的 n 元组舍去。",
    "Tokens/s are per second of CPU; ours are scored from ids, KenLM's from lines of text in Python.": "词元/秒按 CPU 秒计；我们的从编号评分，KenLM 的在 Python 里从文本行评分。",
    # planning, quality
    "# floating-point operations each, one seed": "各 #1 次浮点运算，一个种子",
    "Everything counts against the minutes: start-up, reading, the tokenizer, training, and for ours also its own scoring and report. Both folders are then scored by the same `inkstone eval` on the same held-out text, from which neither learns or chooses anything (ours scores itself on it while it trains, as it always does, and reports that score alone). Tiny Shakespeare: the last tenth. WikiText-#: its validation part (its test part is left alone). Chinese novels: the last twentieth of each.": "一切都算进分钟数：启动、读取、分词器、训练，我们的还包括自己的评分与报告。随后两个文件夹由同一个 `inkstone eval` 在同一份留出文本上评分，双方都不从中学习或选择任何东西（我们的在训练时照例用它给自己评分，只报告那个分数）。Tiny Shakespeare：最后十分之一。WikiText-#1：验证部分（测试部分不动）。中文小说：每部的最后二十分之一。",
    "each run had one core of its own, while the other core did other work; the peers ran first, ours after them, by the script in two calls; one seed": "每次运行独占一个核心，另一个核心做别的工作；先运行对照程序，再运行我们的，脚本分两次调用；一个种子",
    "the Trainer plans its steps from its own timing, so that it ends early or late where the machine's speed changes: the seconds taken say by how much": "Trainer 按自己的计时规划步数，机器速度一变就会早停或晚停：实际秒数说明差多少",
    # text VAE
    "Tiny Shakespeare, line by line: the first nine tenths to learn from, lines of the last tenth to score. The language model is the VAE's own writer with its latent vector held at zero: the same tokens, steps, rates and weights, less the reader. Its nats are exact, the VAE's are upper bounds. Batches hold lines of one length, so that nothing is padded.": "Tiny Shakespeare，逐行：前十分之九用来学，最后十分之一的行用来评分。语言模型就是变分自编码器自己的书写部分，潜向量固定为零：词元、步数、学习率与权重都相同，只少了阅读部分。它的 nat 是精确值，变分自编码器的是上界。每批都是等长的行，没有填充。",
    "A small run of # steps, one core shared with other work. The gap between KL and mutual information is what free bits hold up without use; it closes as training goes on (after # steps: # and # nats, bound # beside #).": "一次 #1 步的小运行，与别的工作共用一个核心。KL 与互信息之差是自由比特撑着而没有用上的部分，随训练继续而缩小（#2 步之后：#3 与 #4 nat，界 #5 对 #6）。",
    # tokenising
    "Vocabulary of #; medians of # turns; byte-level BPE, one pattern.": "词表 #1；#2 轮的中位数；字节级 BPE，同一切分模式。",
    "Inkstone's shards carry SHA-# checksums and document ends; tokenizers writes nothing.": "Inkstone 的分片带 SHA-#1 校验和与文档结尾；tokenizers 什么也不写。",
    # training
    "Single precision, AdamW: # of the bytes of each weight are itself, its gradient and two moments.": "单精度，AdamW：每个权重的字节里有 #1 个是它自己、它的梯度和两个矩。",
    "measured peak: # GFLOP/s in float#": "实测峰值：float#2 为 #1 GFLOP/s",
    "measured peak: # GFLOP/s in float#, # GFLOP/s in bfloat#": "实测峰值：float#2 为 #1 GFLOP/s，bfloat#4 为 #3 GFLOP/s",
    "# rounds in turn, medians; # threads": "轮流 #1 轮，取中位数；线程数 #2",
    "one core of its own, while the other did other work; bfloat# is left out, since this chip has no units for it": "独占一个核心，另一个核心做别的工作；略去 bfloat#1，因为这颗芯片没有它的运算单元",
    # tagging
    "UPOS of the test parts with gold words; one thread, seconds of the processor, features included.": "测试部分的 UPOS，词为人工切分；单线程，处理器秒数，含提取特征。",
    "Features found once are left out by all; both L-BFGS stop at # evaluations or iterations.": "只出现一次的特征，各方都舍去；两个 L-BFGS 都止于 #1 次求值或迭代。",
    "Chinese: the training part has the tags of release #, so the row with today's tags counts also what the treebank itself has changed since.": "汉语：训练部分的标注出自 #1 版，所以「今天的标注」一行也计入了树库自那以后的改动。",
    "CRFsuite's rows are of an earlier run of the whole race, under more load; its L-BFGS took # s on English in a second one, where our CRF took # s": "CRFsuite 各行出自先前一次完整的比赛，当时负载更高；第二次比赛中它的 L-BFGS 在英语上用了 #1 秒，我们的 CRF 用了 #2 秒",
    # word vectors
    "# words of text, # with a vector; # epochs and # negative samples, GloVe # epochs.": "文本 #1 词，#2 个词有向量；#3 遍，负采样 #4 个，GloVe #5 遍。",
    "Processor time is what a speed on a machine shared with other work is to be read from.": "机器与别的工作共用时，速度要看处理器时间。",
    "GloVe's speed is that of the fit, after the counting.": "GloVe 的速度是计数之后拟合的速度。",
}

FIGURE = re.compile(r"\d(?:[\d,.]*\d)?")
TRANSLATED = QUESTIONS | COLUMNS | CELLS | NOTES


def chinese(text: str) -> str:
    """The translation; what has none stays English.

    >>> chinese("threads of every run: 2"), chinese("something new")
    ('每次运行的线程数：2', 'something new')
    """
    figures = FIGURE.findall(text)
    translation = TRANSLATED.get(FIGURE.sub("#", text))
    if translation is None:
        return text
    return re.sub(r"#(\d)", lambda found: figures[int(found[1]) - 1], translation)
